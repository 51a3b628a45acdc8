//go:build !js

package diagnose_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
)

func TestMain(m *testing.M) { leak.Main(m) }

// echo sends messages back until the connection ends.
func echo(conn transport.Conn) {
	defer conn.Close(transport.CodeNormal, "")
	msg, err := conn.Read(context.Background(), nil)
	for err == nil {
		if err = conn.Write(context.Background(), msg); err == nil {
			msg, err = conn.Read(context.Background(), msg[:0])
		}
	}
}

// listen hands each connection to handle, and returns its address.
func listen(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			open.Go(func() { defer conn.Close(); handle(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return l.Addr().String()
}

// closedPort returns an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// connectProxy is an HTTP proxy that requires a user and a password, and connects every
// client to one address.
func connectProxy(to, user string) func(net.Conn) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user))
	return func(client net.Conn) {
		r := bufio.NewReader(client)
		req, err := http.ReadRequest(r)
		if err != nil || req.Header.Get("Proxy-Authorization") != want {
			io.WriteString(client, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n")
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		var up sync.WaitGroup
		up.Go(func() { io.Copy(server, r); server.Close() })
		io.Copy(client, server)
		client.Close()
		server.Close()
		up.Wait()
	}
}

func via(proxy string) func(context.Context, *url.URL) (*url.URL, error) {
	return func(context.Context, *url.URL) (*url.URL, error) { return url.Parse(proxy) }
}
