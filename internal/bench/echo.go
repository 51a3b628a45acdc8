package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/transport"
)

// Both ends are on this machine.
var (
	dialHere   = &transport.DialOptions{Policy: transport.Development}
	acceptHere = &transport.AcceptOptions{Policy: transport.Development}
)

// echoRows send messages over ws on loopback and back, one at a time, against
// coder/websocket as its documentation shows it: a Read that returns a new slice.
func echoRows(e effort) ([]row, error) { return compareEchoes(e, "transport", openLink, 1) }

// compareEchoes holds something that echoes against coder/websocket, which it has to
// reach the given part of in echoes a second.
func compareEchoes(e effort, what string, open func() (echoer, error), least float64) ([]row, error) {
	ours, err := open()
	if err != nil {
		return nil, err
	}
	defer ours.close()
	bare, err := openBare()
	if err != nil {
		return nil, err
	}
	defer bare.close()
	rate := goal{fmt.Sprintf("rate >= %g", least), func(r row) bool { return r.Ratio <= 1/least }}
	var rows []row
	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		r, err := echoRow(e, what, message(size), ours, bare)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r.against(rate))
	}
	return rows, nil
}

func echoRow(e effort, what string, msg []byte, ours, bare echoer) (row, error) {
	var f failed
	r := comparison{
		a: func(int) { f.check(ours.echo(msg)) },
		b: func(int) { f.check(bare.echo(msg)) },
	}.fit(e).wall().run()
	r.What, r.Against = what+", echo "+bytesText(int64(len(msg))), "coder/websocket"
	return r, f.err
}

// wall counts the time that waiting takes too, which for messages on a socket is
// most of it.
func (c comparison) wall() comparison {
	c.clock = nil
	return c
}

// An echoer is a connection whose server sends everything back.
type echoer struct {
	echo  func(msg []byte) error
	close func()
}

func checkEcho(got, want []byte, err error) error {
	if err == nil && len(got) != len(want) {
		err = fmt.Errorf("%d bytes came back of %d", len(got), len(want))
	}
	return err
}

func openLink() (echoer, error) {
	server := httptest.NewServer(http.HandlerFunc(echoLink))
	conn, err := transport.Dial(context.Background(), server.URL, dialHere)
	if err != nil {
		server.Close()
		return echoer{}, err
	}
	var buf []byte
	echo := func(msg []byte) error {
		err := conn.Write(context.Background(), msg)
		if err == nil {
			buf, err = conn.Read(context.Background(), buf[:0])
		}
		return checkEcho(buf, msg, err)
	}
	return echoer{echo, func() { conn.Close(transport.CodeNormal, ""); server.Close() }}, nil
}

func echoLink(w http.ResponseWriter, r *http.Request) {
	conn, err := transport.Accept(w, r, acceptHere)
	if err != nil {
		return
	}
	var buf []byte
	for {
		if buf, err = conn.Read(r.Context(), buf[:0]); err != nil {
			return
		}
		if err = conn.Write(r.Context(), buf); err != nil {
			return
		}
	}
}

func openBare() (echoer, error) {
	server := httptest.NewServer(http.HandlerFunc(echoBare))
	conn, err := dialBare(server.URL)
	if err != nil {
		server.Close()
		return echoer{}, err
	}
	echo := func(msg []byte) error {
		if err := conn.Write(context.Background(), websocket.MessageBinary, msg); err != nil {
			return err
		}
		_, got, err := conn.Read(context.Background())
		return checkEcho(got, msg, err)
	}
	return echoer{echo, func() { conn.Close(websocket.StatusNormalClosure, ""); server.Close() }}, nil
}

func dialBare(url string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err == nil {
		conn.SetReadLimit(transport.DefaultMaxMessage)
	}
	return conn, err
}

func echoBare(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(transport.DefaultMaxMessage)
	for {
		kind, msg, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, msg) != nil {
			return
		}
	}
}
