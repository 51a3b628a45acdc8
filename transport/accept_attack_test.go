//go:build !js

package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// patience is how long a test waits for what would never come. It is not reached
// where all is well.
const patience = 5 * time.Second

// Servers wait for the body of a request. One that never comes must not hold an
// Accept, nor the place that its Gate gave it.
func TestA33ABodyThatNeverComesHoldsNothing(t *testing.T) {
	for name, headers := range map[string]string{
		"a length":              "Content-Length: 9\r\n",
		"chunks":                "Transfer-Encoding: chunked\r\n",
		"an expectation":        "Content-Length: 9\r\nExpect: 100-continue\r\n",
		"no handshake":          "Content-Length: 9\r\nSec-WebSocket-Version: 12\r\n",
		"a closed connection":   "Content-Length: 9\r\nConnection: close\r\n",
		"more than is skipped":  "Content-Length: 999999\r\n",
		"a body and no version": "Transfer-Encoding: chunked\r\nSec-WebSocket-Version: 12\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			gate := transport.NewGate(nil)
			addr, outcomes := acceptor(t, &transport.AcceptOptions{Gate: gate})
			socket, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			io.WriteString(socket, handshake+"Host: localhost\r\n"+headers+"\r\n")
			select {
			case got := <-outcomes:
				var refused *transport.AcceptError
				if !errors.As(got.err, &refused) || refused.Status != http.StatusBadRequest {
					t.Fatalf("Accept: %v", got.err)
				}
			case <-time.After(patience):
				t.Fatal("Accept waits")
			}
			socket.SetReadDeadline(time.Now().Add(patience))
			if all, err := io.ReadAll(socket); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400 ") {
				t.Errorf("the server goes on waiting: %q, %v", all, err)
			}
		})
	}
}

// A proxy that takes any answer to an upgrade for a yes lets the client write to
// this server directly. What comes that way has the proxy's address, and may say
// what only proxies may: it must not be read.
func TestA49NothingIsReadBehindARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no handshake":   {strings.Replace(handshake, "Upgrade: WebSocket\r\n", "", 1), 426},
		"other version":  {strings.Replace(handshake, "Version: 13", "Version: 12", 1), 400},
		"foreign origin": {handshake + "Origin: https://evil.example\r\n", 403},
		"no credential":  {handshake, 401},
	} {
		t.Run(name, func(t *testing.T) {
			addr, outcomes := acceptor(t, guarded())
			socket, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			end := "Host: localhost\r\n\r\n"
			io.WriteString(socket, c.request+end+handshake+"Authorization: Bearer "+secret+"\r\n"+end)
			socket.SetReadDeadline(time.Now().Add(patience))
			r := bufio.NewReader(socket)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != c.status || !resp.Close {
				t.Fatalf("%v, %v", resp, err)
			}
			io.Copy(io.Discard, resp.Body)
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("the smuggled request was answered: %q", rest)
			}
			if got := <-outcomes; got.err == nil {
				t.Error("the refused request was accepted")
			}
			select {
			case got := <-outcomes:
				t.Errorf("Accept saw the smuggled request: %v", got.err)
			default:
			}
		})
	}
}

// RFC 9113, section 8.2.2: a client of HTTP/2 takes an answer with such a header for
// a broken one, and would not see what is wrong.
func TestAcceptAnswersHTTP2(t *testing.T) {
	outcomes := make(chan error, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := transport.Accept(w, r, nil)
		outcomes <- err
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUpgradeRequired {
		t.Fatal(resp.Proto, resp.Status)
	}
	for _, name := range []string{"Upgrade", "Connection"} {
		if got := resp.Header.Values(name); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := <-outcomes; err == nil || !strings.Contains(err.Error(), "HTTP/1.1") {
		t.Error(err)
	}
}

// A plain ResponseWriter is what middleware makes of one that can be hijacked.
type plainWriter struct{ w http.ResponseWriter }

func (p plainWriter) Header() http.Header         { return p.w.Header() }
func (p plainWriter) WriteHeader(status int)      { p.w.WriteHeader(status) }
func (p plainWriter) Write(b []byte) (int, error) { return p.w.Write(b) }

// A client must not be told that there is a WebSocket where none can be had.
func TestAcceptBehindMiddlewareThatHidesTheSocket(t *testing.T) {
	outcomes := make(chan outcome, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(plainWriter{w}, r, accepting(nil))
		outcomes <- outcome{conn, err}
	}))
	t.Cleanup(s.Close)
	resp, _, _ := send(t, s.Listener.Addr().String(), handshake)
	got := <-outcomes
	wantRefusal(t, resp, got, http.StatusNotImplemented, nil)
	if !strings.Contains(got.err.Error(), "Unwrap") {
		t.Errorf("%v does not say what to do", got.err)
	}
}

// A heldBack writer is what gin makes of one: a status goes out with what is written.
type heldBack struct {
	http.ResponseWriter
	status int
}

func (h *heldBack) WriteHeader(status int)      { h.status = status }
func (h *heldBack) Unwrap() http.ResponseWriter { return h.ResponseWriter }
func (h *heldBack) Write(b []byte) (int, error) {
	h.ResponseWriter.WriteHeader(h.status)
	return h.ResponseWriter.Write(b)
}

// The answer 101 does not depend on what a framework's writer makes of a status. The
// frameworks themselves are in the module internal/frameworks.
func TestAcceptBehindAWriterThatHoldsTheStatusBack(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Length", "5")
		if conn, err := transport.Accept(&heldBack{ResponseWriter: w}, r, accepting(nil)); err == nil {
			conn.Close(transport.CodeNormal, "")
		}
	}))
	t.Cleanup(s.Close)
	resp, _, _ := send(t, s.Listener.Addr().String(), handshake)
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Set-Cookie") != "a=b" || resp.Header["Content-Length"] != nil {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
}

// onPipe makes an httptest.ResponseRecorder one.
type onPipe struct {
	http.ResponseWriter
	socket net.Conn
}

func (h onPipe) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s := answerTaker{h.socket, h.Header()}
	return s, bufio.NewReadWriter(bufio.NewReader(s), bufio.NewWriter(s)), nil
}

// An answerTaker is a pipe whose other end reads what follows the answer 101. The
// header of that is kept here.
type answerTaker struct {
	net.Conn
	header http.Header
}

func (a answerTaker) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
		return a.Conn.Write(b)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err == nil {
		maps.Copy(a.header, resp.Header)
	}
	return len(b), err
}

// Middleware says "https" with a state that no handshake made.
func TestAcceptWithATLSStateOfNoHandshake(t *testing.T) {
	for name, state := range map[string]*tls.ConnectionState{
		"empty":         {},
		"of a test":     httptest.NewRequest("GET", "https://localhost/", nil).TLS,
		"with a cipher": {Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, HandshakeComplete: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "Host: localhost\r\n\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			r.TLS = state
			ours, theirs := net.Pipe()
			defer theirs.Close()
			conn, err := transport.Accept(onPipe{httptest.NewRecorder(), ours}, r, &transport.AcceptOptions{KeepAlive: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Read(cancelled(), nil)
			if info := conn.Info(); info.Kind != "wss" || info.TLS == nil || info.TLS.ChannelBinding() != nil {
				t.Errorf("%+v", info)
			}
		})
	}
}

// Some middleware makes an address of what a client wrote into a header.
func TestA47AnAddressOfAnythingIsSafeToShow(t *testing.T) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "Host: localhost\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "\x1b[2J\nadmin"
	ours, theirs := net.Pipe()
	defer theirs.Close()
	conn, err := transport.Accept(onPipe{httptest.NewRecorder(), ours}, r, &transport.AcceptOptions{KeepAlive: -1, Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Read(cancelled(), nil)
	if info := conn.Info(); strings.ContainsAny(info.Client+info.Remote, "\x1b\n") {
		t.Errorf("%q, %q", info.Client, info.Remote)
	}
}

// A client whose line is slow pings while a long message is on its way to it. That is
// no reason to cut it, although the pong would have to wait for too long.
func TestAPingDuringALongMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "Host: localhost\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := transport.Accept(onPipe{httptest.NewRecorder(), ours}, r, &transport.AcceptOptions{KeepAlive: -1, Sealed: true})
		if err != nil {
			t.Fatal(err)
		}
		received := make(chan error, 1)
		go func() { _, err := conn.Read(context.Background(), nil); received <- err }()
		sent := make(chan error, 1)
		go func() { sent <- conn.Write(context.Background(), make([]byte, 100_000)) }()
		synctest.Wait()
		go theirs.Write(append(masked(0x89, "early"), masked(0x89, "late")...))
		piece := make([]byte, 10_010) // a tenth, and of the header
		for range 9 {
			time.Sleep(10 * time.Second)
			if _, err := io.ReadFull(theirs, piece); err != nil {
				t.Fatalf("the message ends: %v", err)
			}
		}
		go theirs.Write(masked(0x89, "afterwards"))
		if _, err := io.ReadFull(theirs, piece[:10_010-90]); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		pong := make([]byte, 2+len("afterwards"))
		if _, err := io.ReadFull(theirs, pong); err != nil || string(pong) != "\x8a\x0aafterwards" {
			t.Errorf("%q, %v", pong, err)
		}
		theirs.Close()
		if err := <-received; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func holdsSecret(text string) bool {
	return strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), "hopseal.bearer")
}

// FuzzA32Accept sends all headers that a client can. Nobody gets in without the
// secret, nor without TLS, and nothing of it shows.
func FuzzA32Accept(f *testing.F) {
	const upgrading = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, headers := range []string{
		"", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "X-Forwarded-Proto: https\r\n",
		"X-Forwarded-For: 192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer " + secret + "\r\n",
		"Forwarded: for=\"[2001:db8::1]:4\";proto=https;host=h\r\nSec-WebSocket-Protocol: chat.v1," + transport.BearerSubprotocol(secret) + "\r\n",
		"Forwarded: proto=https\r\nOrigin: https://app.example\r\nCookie: __Host-session=" + secret + "\r\n",
		"X-Forwarded-Proto: https\r\nClient-Cert: :MIIB:\r\nOrigin: null\r\n",
	} {
		f.Add(upgrading+headers, true)
		f.Add(upgrading+headers, false)
	}
	f.Fuzz(func(t *testing.T, headers string, fromHop bool) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /?q=qu3ry HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n")))
		if err != nil || holdsSecret(strings.Join(r.Header["Origin"], "")) { // an origin may be shown
			return
		}
		r.RemoteAddr = "192.0.2.1:1"
		if fromHop {
			r.RemoteAddr = "10.0.0.1:1"
		}
		known := false
		opts := guarded()
		opts.KeepAlive, opts.TrustClientCert = -1, true
		opts.TrustedHops = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		opts.Authenticate = func(ctx context.Context, c *transport.Caller) (transport.Grant, error) {
			grant, err := knows(ctx, c)
			known = err == nil
			return grant, err
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		w := httptest.NewRecorder()
		conn, err := transport.Accept(onPipe{w, ours}, r, opts)
		told := strings.TrimSpace(w.Body.String()) + strings.Join(w.Header()["Sec-Websocket-Protocol"], "")
		if conn != nil {
			told += fmt.Sprintf("%+v", conn.Info())
			conn.Read(cancelled(), nil)
			if err != nil || !known || !fromHop || conn.Info().Kind != "wss" {
				t.Errorf("let in: %v, known %v, by a hop %v, %+v", err, known, fromHop, conn.Info())
			}
		} else if refused, ok := errors.AsType[*transport.AcceptError](err); !ok || refused.Status != w.Code || w.Code < 400 {
			t.Errorf("answered %d, the error is %v", w.Code, err)
		} else {
			told += err.Error()
		}
		if holdsSecret(told) || strings.ContainsAny(told, "\n\x1b") {
			t.Errorf("too much shows: %q", told)
		}
	})
}
