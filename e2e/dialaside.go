package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// longestDial bounds a dial of a session that comes back. That of [transport.Dial] is over in
// half the time.
const longestDial = time.Minute

// dialAside calls a dial function of the application's and waits for it no longer than the
// context lasts. A connection that it makes later is closed. A panic goes on in the caller.
func dialAside(ctx context.Context, dial func(context.Context) (transport.Conn, error)) (transport.Conn, error) {
	made := make(chan transport.Conn) // without room: what nobody takes is still here
	failed := make(chan error, 1)
	go func() {
		conn, err := within(context.WithoutCancel(ctx), func(context.Context) (transport.Conn, error) { return dial(ctx) })
		if err != nil {
			failed <- err
			return
		}
		select {
		case made <- conn:
		case <-ctx.Done():
			conn.Close(transport.CodeNormal, "")
		}
	}()
	select {
	case conn := <-made:
		return conn, nil
	case err := <-failed:
		if panicked := new(PanicError); errors.As(err, &panicked) {
			panic(panicked)
		}
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
