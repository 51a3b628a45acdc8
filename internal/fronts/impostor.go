//go:build unix

package fronts

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/hostile"
)

// An Answer is what an impostor says that stands for a moment where a front should be: an
// ingress without its service, a login page, or another network's proxy.
type Answer struct {
	Name string

	cert  *Cert // for a front that ends TLS; nil: the front's own
	serve func(c net.Conn, r *bufio.Reader)
}

// Instead ends the front and starts it again once impostors have given each of the answers
// to one client, in the front's place. It waits at most wait for clients, and reports
// whether every answer had a client.
func (f *Front) Instead(answers []Answer, wait time.Duration) (heard bool, err error) {
	f.Kill()
	l, err := listenAgain(f.Addr)
	if err != nil {
		return false, err
	}
	heard = f.answer(l, answers, wait)
	return heard, f.Start()
}

// listenAgain listens on the address of a program that was killed just now.
func listenAgain(address string) (net.Listener, error) {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return l, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

func (f *Front) answer(l net.Listener, answers []Answer, wait time.Duration) (heard bool) {
	var all sync.WaitGroup
	defer all.Wait()
	defer l.Close()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(wait))
	for _, a := range answers {
		c, err := l.Accept()
		if err != nil {
			return false
		}
		all.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(wait))
			if f.Kind.Proxy == "" {
				cert := f.setup.Cert
				if a.cert != nil {
					cert = a.cert
				}
				c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert.Pair}})
			}
			a.serve(c, bufio.NewReader(c))
		})
	}
	return true
}

// Misanswers returns the wrong answers that a client may get in place of the front's: first
// those of the front itself, then those of what stands behind it.
func (f *Front) Misanswers() (all []Answer) {
	switch f.Kind.Proxy {
	case "":
		all = append(all,
			Answer{Name: "a certificate of nobody", cert: NewCert(), serve: status(200, "")},
			Answer{Name: "an expired certificate", cert: f.setup.Cert.Expired(), serve: status(200, "")})
		return append(all, behind(func(net.Conn, *bufio.Reader) {})...)
	case "socks5":
		all = append(all, Answer{Name: "no method", serve: func(c net.Conn, r *bufio.Reader) {
			io.ReadFull(r, make([]byte, 3))
			c.Write([]byte{5, 0xff})
		}})
		for _, code := range []byte{1, 2, 5} {
			all = append(all, Answer{Name: fmt.Sprint("SOCKS ", code), serve: func(c net.Conn, r *bufio.Reader) { socks(c, r, code) }})
		}
		return append(all, behind(func(c net.Conn, r *bufio.Reader) { socks(c, r, 0) })...)
	}
	for _, code := range []int{403, 407, 502, 503} {
		all = append(all, Answer{Name: fmt.Sprint("CONNECT ", code), serve: status(code, "")})
	}
	return append(all, behind(func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		}
	})...)
}

// behind returns the answers to the WebSocket handshake. Each first calls way, which leads
// the client there.
func behind(way func(net.Conn, *bufio.Reader)) (all []Answer) {
	add := func(name string, serve func(net.Conn, *bufio.Reader)) {
		all = append(all, Answer{Name: name, serve: func(c net.Conn, r *bufio.Reader) { way(c, r); serve(c, r) }})
	}
	for _, code := range []int{200, 302, 400, 401, 403, 404, 405, 410, 421, 426, 502} {
		add(fmt.Sprint("status ", code), status(code, "Location: https://login.example/\r\n"))
	}
	for _, code := range []uint16{1000, 1002, 1008, 3000, 3003, 4000} {
		add(fmt.Sprint("close ", code), closes(code))
	}
	add("nothing", func(_ net.Conn, r *bufio.Reader) { http.ReadRequest(r) })
	return all
}

// status answers a request with a status.
func status(code int, header string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: 5\r\nConnection: close\r\n\r\nhello", code, http.StatusText(code), header)
		}
	}
}

// closes opens the WebSocket, and closes it again with a code.
func closes(code uint16) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		c.Write(hostile.CloseFrame(code))
		io.Copy(io.Discard, r) // until the client has gone
	}
}

// socks answers a SOCKS5 client with a code, and asks it for no password.
func socks(c net.Conn, r *bufio.Reader, code byte) {
	io.ReadFull(r, make([]byte, 3))
	c.Write([]byte{5, 0})
	head := make([]byte, 5)
	io.ReadFull(r, head)
	rest := map[byte]int{1: 3, 3: int(head[4]), 4: 15}[head[3]] + 2
	io.ReadFull(r, make([]byte, rest))
	c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
}
