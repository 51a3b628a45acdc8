package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// sessionPipelineRows send messages one way, one behind the other, until the other end
// says that it has the last of them.
func sessionPipelineRows(e effort) ([]row, error) {
	ours, err := openSessionPipe()
	if err != nil {
		return nil, err
	}
	defer ours.close()
	bare, err := openBarePipe()
	if err != nil {
		return nil, err
	}
	defer bare.close()
	var rows []row
	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		n := max(8, min(1000, 2<<20/size))
		var f failed
		r := comparison{
			a: func(int) { f.check(ours.run(size, n)) },
			b: func(int) { f.check(bare.run(size, n)) },
		}.fit(e).wall().run().against(goal{"rate >= 0.9", func(r row) bool { return r.Ratio <= 1/0.9 }})
		r.What, r.Against = fmt.Sprintf("session, %d x %s one way", n, bytesText(int64(size))), "coder/websocket"
		if f.err != nil {
			return nil, f.err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// A pipe is a connection whose server answers messages that begin with a 1.
type pipe struct {
	send  func(msg []byte) error
	await func() error
	close func()
}

func (p pipe) run(size, n int) error {
	msg := message(size)
	msg[0] = 0
	for i := range n {
		if i == n-1 {
			msg[0] = 1
		}
		if err := p.send(msg); err != nil {
			return err
		}
	}
	return p.await()
}

func openSessionPipe() (pipe, error) {
	p, err := newPair()
	if err != nil {
		return pipe{}, err
	}
	url, stop, err := p.serve(func(ctx context.Context, s *e2e.Session) error {
		var buf []byte
		for {
			var err error
			if buf, err = s.AppendReceive(ctx, buf[:0]); err != nil {
				return nil
			}
			if buf[0] == 1 {
				if err := s.Send(ctx, buf[:1]); err != nil {
					return nil
				}
			}
		}
	})
	if err != nil {
		return pipe{}, err
	}
	session, err := e2e.Dial(context.Background(), url, p.client)
	if err != nil {
		stop()
		return pipe{}, err
	}
	var buf []byte
	return pipe{
		send: func(msg []byte) error { return session.Send(context.Background(), msg) },
		await: func() (err error) {
			buf, err = session.AppendReceive(context.Background(), buf[:0])
			return err
		},
		close: func() { session.Close(); stop() },
	}, nil
}

func openBarePipe() (pipe, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(transport.DefaultMaxMessage)
		for {
			kind, msg, err := conn.Read(r.Context())
			if err != nil || msg[0] == 1 && conn.Write(r.Context(), kind, msg[:1]) != nil {
				return
			}
		}
	}))
	conn, err := dialBare(server.URL)
	if err != nil {
		server.Close()
		return pipe{}, err
	}
	return pipe{
		send: func(msg []byte) error {
			return conn.Write(context.Background(), websocket.MessageBinary, msg)
		},
		await: func() error { _, _, err := conn.Read(context.Background()); return err },
		close: func() { conn.Close(websocket.StatusNormalClosure, ""); server.Close() },
	}, nil
}
