//go:build !js

package hostile

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// farewell is how long a Front waits for a client to answer a close. Some clients do not
// answer codes that nobody may send.
const farewell = 100 * time.Millisecond

// An Answer is what a [Front] does in place of the server behind it.
type Answer struct {
	Name string

	Fault  string // what is wrong with the certificate, one of CertificateFaults
	Status int    // the HTTP status
	Raw    string // what it sends instead of HTTP
	Close  int    // the code with which it closes the WebSocket that it opens
	Cut    bool   // it closes the connection
}

// Answers returns what a Front can do. If every is set, these are all the statuses, close
// codes and certificates for which clients have been seen to stop, else one of each class.
func Answers(every bool) (all []Answer) {
	statuses, codes := []int{101, 200, 302, 401, 404, 421, 426, 429, 503}, []int{1000, 1006, 1008, 1012, 3000, 4321}
	if every {
		statuses = append(statuses, 204, 400, 403, 405, 407, 408, 410, 425, 451, 500, 502, 504)
		codes = append(codes, 1001, 1002, 1003, 1004, 1005, 1007, 1009, 1010, 1011, 1013, 1014, 1015, 3003, 4000)
	}
	for _, status := range statuses {
		all = append(all, Answer{Name: fmt.Sprint("status ", status), Status: status})
	}
	for _, fault := range CertificateFaults() {
		all = append(all, Answer{Name: "certificate " + fault, Fault: fault})
	}
	for _, code := range codes {
		all = append(all, Answer{Name: fmt.Sprint("close ", code), Close: code})
	}
	return append(all,
		Answer{Name: "cut", Cut: true},
		Answer{Name: "garbage", Raw: "SSH-2.0-OpenSSH_9.2\r\n"},
		Answer{Name: "half an answer", Raw: "HTTP/1.1 101 Switching Pro"})
}

// A Front ends TLS in front of a server, as an ingress does. After [Front.Set] it answers in
// the server's place.
type Front struct {
	URL   string // wss://127.0.0.1:port
	Roots []byte // PEM

	target   string
	certs    map[string]*tls.Certificate // by fault; "" for the right one
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	answer *Answer
	met    int
	open   map[*frontConn]struct{}
}

// NewFront starts a Front on loopback. It ends with the test.
func NewFront(t testing.TB, target string) *Front {
	t.Helper()
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		target = u.Host
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{URL: "wss://" + l.Addr().String(), target: target, listener: l, open: map[*frontConn]struct{}{}}
	f.Roots, f.certs = certificates()
	f.running.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.End(0)
		f.running.Wait()
	})
	return f
}

// Set makes the Front give every new connection this answer, or pass it on if a is nil.
func (f *Front) Set(a *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.met = a, 0
}

// Met returns how many connections have got the answer since Set.
func (f *Front) Met() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met
}

// End ends all connections with a close code, or without one if code is 0.
func (f *Front) End(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.end(code)
	}
	clear(f.open)
}

func (f *Front) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.serve(conn) })
	}
}

// now returns the answer for a new connection, and counts it.
func (f *Front) now() Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer == nil {
		return Answer{}
	}
	f.met++
	return *f.answer
}

func (f *Front) serve(raw net.Conn) {
	a := f.now()
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{*f.certs[a.Fault]}})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(conn)
	request, err := http.ReadRequest(in)
	switch {
	case err != nil || a.Cut:
	case a.Raw != "":
		io.WriteString(conn, a.Raw)
	case a.Status != 0:
		fmt.Fprintf(conn, "HTTP/1.1 %d No\r\nLocation: https://login.example/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", a.Status)
	case a.Close != 0:
		key := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(key[:]))
		conn.Write(closeFrame(a.Close))
		conn.SetReadDeadline(time.Now().Add(farewell))
		io.Copy(io.Discard, in)
	default:
		f.pass(conn, in, request)
	}
}

// pass connects a client to the server behind.
func (f *Front) pass(client net.Conn, in io.Reader, request *http.Request) {
	server, err := net.Dial("tcp", f.target)
	if err != nil {
		return
	}
	c := &frontConn{client: client, server: server}
	defer c.end(0)
	f.mu.Lock()
	f.open[c] = struct{}{}
	f.mu.Unlock()
	client.SetDeadline(time.Time{})
	if request.Write(server) != nil {
		return
	}
	f.running.Go(func() {
		io.Copy(c, server)
		c.end(0)
	})
	io.Copy(server, in)
}

// A frontConn is a connection that a Front has passed on.
type frontConn struct {
	client, server net.Conn

	mu   sync.Mutex // guards what follows, and writes to the client
	over bool
}

// Write passes on what comes from the server.
func (c *frontConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, net.ErrClosed
	}
	return c.client.Write(b)
}

// end ends the connection. A second call without a code ends a farewell at once.
func (c *frontConn) end(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && code == 0 {
		c.client.Close()
	}
	if c.over {
		return
	}
	c.over = true
	c.server.Close()
	if code != 0 { // the client closes the connection, or the deadline ends it
		c.client.Write(closeFrame(code))
		c.client.SetReadDeadline(time.Now().Add(farewell))
		return
	}
	c.client.Close()
}

// closeFrame returns a server's close frame of a WebSocket, even for a code that nobody may send.
func closeFrame(code int) []byte { return binary.BigEndian.AppendUint16([]byte{0x88, 2}, uint16(code)) }
