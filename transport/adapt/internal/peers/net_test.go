package peers

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
	"github.com/hopseal/hopseal/transport/conntest"
)

var errClosed = net.ErrClosed

// pair returns two ends of a WebSocket.
func pair(t testing.TB) (a, b transport.Conn) {
	t.Helper()
	conns := make(chan transport.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := ourServer(w, r)
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		conns <- conn
	}))
	t.Cleanup(server.Close)
	a, err := transport.Dial(t.Context(), server.URL, &transport.DialOptions{MaxMessage: conntest.MaxMessage, Policy: transport.Development})
	if err != nil {
		t.Fatal(err)
	}
	return a, <-conns
}

// The Go project's own tests of a net.Conn.
func TestNetConn(t *testing.T) {
	for name, connect := range map[string]func() (a, b transport.Conn){
		"pipe":   func() (a, b transport.Conn) { return transport.Pipe() },
		"socket": func() (a, b transport.Conn) { return pair(t) },
	} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := connect()
				c1, c2 = adapt.NetConn(a), adapt.NetConn(b)
				return c1, c2, func() { go c1.Close(); c2.Close(); c1.Close() }, nil
			})
		})
	}
}

// A Conn over a net.Conn over a Conn: everything has to hold through all three.
func TestThereAndBack(t *testing.T) {
	conntest.Test(t, conntest.Link{OneWay: true, Connect: func(t *testing.T) (a, b transport.Conn) {
		x, y := transport.Pipe()
		return adapt.FromNetConn(adapt.NetConn(x), limited), adapt.FromNetConn(adapt.NetConn(y), limited)
	}})
}

func TestNetConnKeepsBytesThroughTimeouts(t *testing.T) {
	a, b := pair(t)
	from, to := adapt.NetConn(a), adapt.NetConn(b)
	defer to.Close()
	sent := make([]byte, 3<<20)
	rand.Read(sent)
	go func() {
		defer from.Close()
		for rest := sent; len(rest) > 0; {
			from.SetWriteDeadline(time.Now().Add(time.Millisecond))
			n, err := from.Write(rest[:min(len(rest), 50_000)])
			rest = rest[n:]
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v", err)
				return
			}
		}
	}()
	var got []byte
	buf := make([]byte, 10_000)
	for {
		to.SetReadDeadline(time.Now().Add(100 * time.Microsecond))
		n, err := to.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came of %d, or others", len(got), len(sent))
	}
}

// A program that speaks length-prefixed messages over TCP, and one that has a Conn.
func TestLengthPrefixed(t *testing.T) {
	a, b := transport.Pipe()
	c := adapt.LengthPrefixed(a)
	defer c.Close()
	go func() {
		io.WriteString(c, "\x00\x00") // however it is cut in pieces
		io.WriteString(c, "\x00\x05he")
		io.WriteString(c, "llo\x00\x00\x00\x00\x00\x00\x00\x01!\x00")
	}()
	for _, want := range []string{"hello", "", "!"} {
		if got, err := b.Read(context.Background(), nil); err != nil || string(got) != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	b.Write(context.Background(), []byte("back"))
	b.Write(context.Background(), nil)
	got := make([]byte, 12)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "\x00\x00\x00\x04back\x00\x00\x00\x00" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := io.WriteString(c, "\x10\x00\x01"); err == nil { // it begins with the 0 from above
		_, err = io.WriteString(c, "more")
		if err == nil {
			t.Error("a message of a megabyte and more is taken")
		}
	}
}

// HTTP, whose server interrupts its own reads by deadlines, over a WebSocket.
func TestHTTPOverANetConn(t *testing.T) {
	a, b := pair(t)
	client, server := adapt.NetConn(a), adapt.NetConn(b)
	l := &once{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- server
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})}
	go srv.Serve(l)
	transporter := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	for range 3 {
		resp, err := (&http.Client{Transport: transporter}).Post("http://x/", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(body), err)
		}
	}
	transporter.CloseIdleConnections()
	srv.Close()
}

// once is a listener with one connection.
type once struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *once) Close() error   { close(l.done); return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }
