//go:build !js

package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"testing"
	"testing/iotest"
)

// A scripted connection answers with the same bytes whatever it is sent.
type scripted struct {
	net.Conn
	answer io.Reader
}

func (s scripted) Read(p []byte) (int, error)  { return s.answer.Read(p) }
func (s scripted) Write(p []byte) (int, error) { return len(p), nil }

// FuzzProxyAnswers has proxies answer anything. Whatever it is, the dial does not
// take what follows for its own, nor shows any of it.
func FuzzProxyAnswers(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\nx"), false)
	f.Add([]byte("HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), false)
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"), true)
	f.Add([]byte("\x05\x00\x05\x00\x00\x03\x02ab\x00\x50"), true)
	f.Add([]byte("\x05\x00\x05\x00\x00\x04"), true)
	f.Fuzz(func(t *testing.T, answer []byte, socks bool) {
		d := newDialer(&url.URL{Scheme: "wss", Host: "service.example"}, &DialOptions{
			ProxyAuth: func(context.Context, *url.URL, []string) (string, error) { return "Digest x", nil }})
		d.host, d.proxy = "service.example", &url.URL{Scheme: "http", Host: "proxy.example", User: url.UserPassword("u", "p")}
		read := bytes.NewReader(answer)
		conn := scripted{nil, iotest.OneByteReader(read)}
		ask := d.askHTTP
		if socks {
			ask = d.askSOCKS
		}
		failed := ask(t.Context(), conn, &proxyLogin{d: d})
		if failed != nil && failed.Error() == "" {
			t.Error("no text")
		}
		if failed == nil && socks && read.Len() < len(answer)-2-2-4-1-255-2 {
			t.Error("read more than an answer")
		}
	})
}
