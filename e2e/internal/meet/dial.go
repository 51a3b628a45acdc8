package meet

import (
	"cmp"
	"context"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/transport"
)

// A dialled is what a dial function has returned.
type dialled struct {
	conn transport.Conn
	err  error
}

// DialAside calls the application's dial function and waits for it no longer than the context
// lasts. It closes a connection that comes later. A panic of dial goes on in the caller.
func DialAside(ctx context.Context, dial func(context.Context) (transport.Conn, error)) (transport.Conn, error) {
	made := make(chan transport.Conn) // unbuffered, so that a connection nobody takes can be closed
	failed := make(chan error, 1)
	panicked := make(chan *fault.PanicError, 1)
	go func() {
		got, err := aside.Within(context.WithoutCancel(ctx), func(context.Context) (dialled, error) {
			conn, err := dial(ctx)
			return dialled{conn, err}, nil
		})
		if p, ok := err.(*fault.PanicError); ok {
			panicked <- p
			return
		}
		if err = cmp.Or(err, got.err); err != nil {
			failed <- err
			return
		}
		select {
		case made <- got.conn:
		case <-ctx.Done():
			got.conn.Close(transport.CodeNormal, "")
		}
	}()
	select {
	case conn := <-made:
		return conn, nil
	case err := <-failed:
		return nil, err
	case p := <-panicked:
		panic(p)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
