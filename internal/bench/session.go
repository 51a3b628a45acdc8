package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A pair is two ends that trust each other.
type pair struct {
	client e2e.Config
	server e2e.ServerConfig
}

func newPair() (pair, error) {
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		return pair{}, err
	}
	bob, err := keys.GenerateIdentity("bob")
	if err != nil {
		return pair{}, err
	}
	options := e2e.Options{Logger: slog.New(slog.DiscardHandler)}
	return pair{
		e2e.Config{Identity: alice, Verifier: trust.Pinned(bob.Fingerprint()), Protocol: "bench/1", Options: options},
		e2e.ServerConfig{Identity: bob, Verifier: trust.Pinned(alice.Fingerprint()), Protocol: "bench/1", Options: options, MaxHandshakesPerAddress: 256},
	}, nil
}

// openSession makes a session with a server that sends everything back, over ws.
func openSession() (echoer, error) {
	p, err := newPair()
	if err != nil {
		return echoer{}, err
	}
	url, stop, err := p.serve(echoSession)
	if err != nil {
		return echoer{}, err
	}
	session, err := e2e.Dial(context.Background(), url, p.client)
	if err != nil {
		stop()
		return echoer{}, err
	}
	var buf []byte
	echo := func(msg []byte) error {
		err := session.Send(context.Background(), msg)
		if err == nil {
			buf, err = session.AppendReceive(context.Background(), buf[:0])
		}
		return checkEcho(buf, msg, err)
	}
	return echoer{echo, func() { session.Close(); stop() }}, nil
}

func (p pair) serve(f func(context.Context, *e2e.Session) error) (url string, stop func(), err error) {
	srv, err := e2e.NewServer(p.server, f)
	if err != nil {
		return "", nil, err
	}
	server := httptest.NewServer(srv)
	return server.URL, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		srv.Shutdown(ctx)
		server.Close()
	}, nil
}

func echoSession(ctx context.Context, s *e2e.Session) error {
	var buf []byte
	for {
		var err error
		if buf, err = s.AppendReceive(ctx, buf[:0]); err != nil {
			return nil // the client has gone
		}
		if err := s.Send(ctx, buf); err != nil {
			return nil
		}
	}
}

// sessionEchoRows hold sessions over ws against coder/websocket without any secrecy.
func sessionEchoRows(e effort) ([]row, error) { return compareEchoes(e, "session", openSession, 0.9) }

// sessionIdleRows count the memory of sessions that wait for a message.
func sessionIdleRows(e effort) ([]row, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	rows, err := p.idleRows(e, "session, idle, one end")
	if err != nil {
		return nil, err
	}
	p.client.Known, p.server.Known = new(keys.PublicCache), new(keys.PublicCache)
	known, err := p.idleRows(e, "session, idle, identities known")
	return append(rows, known...), err
}

func (p pair) idleRows(e effort, what string) ([]row, error) {
	srv, err := e2e.NewServer(p.server, echoSession)
	if err != nil {
		return nil, err
	}
	defer srv.Shutdown(context.Background())
	open := func(url string) (func(), error) {
		session, err := e2e.Dial(context.Background(), url, p.client)
		if err != nil {
			return nil, err
		}
		received := make(chan struct{})
		go func() { session.Receive(context.Background()); close(received) }()
		return func() { session.Close(); <-received }, nil
	}
	return compareIdle(e, what, srv.ServeHTTP, open, 1.3)
}

// sessionHandshakeRows hold a handshake, both ends and what they do with identities
// included, against mutual TLS 1.3, each over a pipe in memory; processor time.
func sessionHandshakeRows(e effort) ([]row, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	theirs, err := newMutualTLS()
	if err != nil {
		return nil, err
	}
	known := p
	known.client.Known, known.server.Known = new(keys.PublicCache), new(keys.PublicCache)
	var f failed
	measure := func(what string, p pair, most float64) row {
		r := comparison{
			a: func(int) { f.check(p.meet()) },
			b: func(int) { f.check(theirs.meet()) },
		}.fit(e).run().against(goal{fmt.Sprintf("ratio <= %g", most), func(r row) bool { return r.Ratio <= most }})
		r.What, r.Against = what, "mutual TLS 1.3, X25519MLKEM768, Ed25519"
		return r
	}
	return []row{
		measure("session, handshake", p, 1.15),
		measure("session, handshake, identities known", known, 1),
	}, f.err
}

// meet makes a session over a pipe, and ends it.
func (p pair) meet() error {
	ctx := context.Background()
	near, far := transport.Pipe(transport.WithMaxMessage(e2e.MaxFrame(1 << 20)))
	accepted := make(chan error, 1)
	go func() {
		_, err := e2e.Accept(ctx, far, p.server)
		accepted <- err
	}()
	_, err := e2e.Connect(ctx, near, "bench", p.client)
	if err == nil {
		err = <-accepted
	}
	near.Cut()
	return err
}
