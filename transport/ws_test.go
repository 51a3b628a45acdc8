//go:build !js

package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/transport"
)

// serve starts a server whose connections are given to handle.
func serve(t *testing.T, opts *transport.AcceptOptions, handle func(transport.Conn)) string {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, accepting(opts))
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		handle(conn)
	})
}

// serveHTTP starts a plain HTTP server and returns its ws:// URL.
func serveHTTP(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func echo(conn transport.Conn) {
	var buf []byte
	for {
		msg, err := conn.Read(context.Background(), buf[:0])
		if err != nil {
			return
		}
		if conn.Write(context.Background(), msg) != nil {
			return
		}
		buf = msg
	}
}

func dial(t *testing.T, url string, opts *transport.DialOptions) transport.Conn {
	t.Helper()
	conn, err := transport.Dial(t.Context(), url, locally(opts))
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return conn
}

func dialError(t *testing.T, url string, opts *transport.DialOptions) *transport.DialError {
	t.Helper()
	conn, err := transport.Dial(t.Context(), url, locally(opts))
	if err == nil {
		conn.Close(transport.CodeNormal, "")
		t.Fatal("Dial succeeded")
	}
	var e *transport.DialError
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no DialError", err, err)
	}
	return e
}

// tlsServer starts a TLS server and returns its URL and the root to trust.
func tlsServer(t *testing.T, handle func(transport.Conn)) (url string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, accepting(nil))
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		handle(conn)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail here on purpose
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "wss" + strings.TrimPrefix(s.URL, "https"), roots
}

func TestMessagesOfEverySizePass(t *testing.T) {
	url := serve(t, nil, echo)
	conn := dial(t, url, nil)
	var buf []byte
	for _, size := range []int{0, 1, 125, 126, 4096, 65535, 65536, transport.DefaultMaxMessage} {
		msg := make([]byte, size)
		rand.Read(msg)
		if err := conn.Write(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		var err error
		if buf, err = conn.Read(t.Context(), buf[:0]); err != nil || !bytes.Equal(buf, msg) {
			t.Fatalf("%d bytes came back as %d, %v", size, len(buf), err)
		}
	}
}

func TestHTTPSchemesMeanWebSocket(t *testing.T) {
	url := serve(t, nil, echo)
	conn := dial(t, "http"+strings.TrimPrefix(url, "ws"), nil)
	mustWrite(t, conn, "hi")
	mustRead(t, conn)
	if kind := conn.Info().Kind; kind != "ws" {
		t.Fatalf("kind %q", kind)
	}
}

func TestTLSLink(t *testing.T) {
	infos := make(chan transport.Info, 1)
	url, roots := tlsServer(t, func(c transport.Conn) { infos <- c.Info(); echo(c) })
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}
	conn := dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{Base: conf}})
	mustWrite(t, conn, "hi")
	if got := mustRead(t, conn); got != "hi" {
		t.Fatalf("got %q", got)
	}
	here, there := conn.Info(), <-infos
	if here.Kind != "wss" || there.Kind != "wss" || here.Local != there.Remote || here.Remote != there.Local {
		t.Fatalf("client %+v, server %+v", here, there)
	}
	if conf.NextProtos != nil || conf.MinVersion != tls.VersionTLS10 {
		t.Fatal("the caller's TLS was changed")
	}
}

func TestReadFillsTheCallersBuffer(t *testing.T) {
	url := serve(t, nil, echo)
	conn := dial(t, url, nil)
	dst := make([]byte, 2, 2+5)
	mustWrite(t, conn, "exact")
	got, err := conn.Read(t.Context(), dst)
	if err != nil || string(got[2:]) != "exact" {
		t.Fatalf("got %q, %v", got, err)
	}
	if &got[0] != &dst[0] {
		t.Fatal("a buffer with just enough room was replaced")
	}
}

func TestReadAllocatesNothingPerByte(t *testing.T) {
	url := serve(t, nil, echo)
	conn := dial(t, url, nil)
	ctx, buf := context.Background(), make([]byte, 0, 64<<10)
	msg := make([]byte, 64<<10)
	perMessage := testing.AllocsPerRun(50, func() {
		if err := conn.Write(ctx, msg); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(ctx, buf); err != nil {
			t.Fatal(err)
		}
	})
	if perMessage > 12 { // both ends together; a growing buffer takes 20 more
		t.Fatalf("%v allocations per 64 KiB echo", perMessage)
	}
}

func TestCloseTellsThePeer(t *testing.T) {
	ended := make(chan error, 1)
	url := serve(t, nil, func(c transport.Conn) {
		_, err := c.Read(context.Background(), nil)
		ended <- err
	})
	conn := dial(t, url, nil)
	if err := conn.Close(4001, "moved to another room"); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := conn.Close(transport.CodeNormal, ""); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	err := <-ended
	wantClosed(t, err, 4001, true)
	if !strings.Contains(err.Error(), "moved to another room") {
		t.Fatalf("%v lacks the reason", err)
	}
	_, err = conn.Read(t.Context(), nil)
	wantClosed(t, err, 4001, false)
	wantClosed(t, conn.Write(t.Context(), nil), 4001, false)
}

func TestWhatCameBeforeTheCloseIsDelivered(t *testing.T) {
	url := serve(t, nil, func(c transport.Conn) {
		for i := range 100 {
			mustWrite(t, c, fmt.Sprint(i))
		}
		c.Close(transport.CodeGoingAway, "")
	})
	conn := dial(t, url, nil)
	for i := range 100 {
		if got := mustRead(t, conn); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeGoingAway, true)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%v is no io.EOF", err)
	}
}

func TestCloseOfAnUnsendableCode(t *testing.T) {
	for _, code := range []transport.Code{0, 999, 1004, 1005, 1006, 1015, 2999, 5000} {
		a, b := transport.Pipe()
		a.Close(code, strings.Repeat("é", 100))
		_, err := b.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeInternal, true)
		var closed *transport.CloseError
		if errors.As(err, &closed); closed.Reason != strings.Repeat("é", 61) {
			t.Fatalf("reason %q", closed.Reason)
		}
	}
}

func TestContextEndsTheConnection(t *testing.T) {
	ended := make(chan error, 1)
	url := serve(t, nil, func(c transport.Conn) {
		_, err := c.Read(context.Background(), nil)
		ended <- err
	})
	conn := dial(t, url, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := conn.Read(ctx, nil)
	wantClosed(t, err, transport.CodeAbnormal, false)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v does not match context.Canceled", err)
	}
	wantClosed(t, <-ended, transport.CodeAbnormal, true)
}

func TestTheDialsContextDoesNotEndTheConnection(t *testing.T) {
	url := serve(t, nil, echo)
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := transport.Dial(ctx, url, local)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	cancel()
	mustWrite(t, conn, "still here")
	mustRead(t, conn)
}

func TestCloseUnblocksAReadAndAFullWrite(t *testing.T) {
	stop := make(chan struct{})
	url := serve(t, nil, func(c transport.Conn) { <-stop }) // never reads
	conn := dial(t, url, nil)
	defer close(stop)
	started, errs := make(chan struct{}, 2), make(chan error, 2)
	go func() {
		started <- struct{}{}
		_, err := conn.Read(context.Background(), nil)
		errs <- err
	}()
	go func() {
		started <- struct{}{}
		errs <- conn.Write(context.Background(), make([]byte, 64<<20)) // no socket holds that much
	}()
	<-started
	<-started
	began := time.Now()
	err := conn.Close(transport.CodeNormal, "")
	if took := time.Since(began); took > 4500*time.Millisecond { // 2 s, and a slow machine; the library's own limit is 5 s
		t.Errorf("Close took %v", took)
	}
	if err == nil {
		t.Fatal("Close did not say that the peer is stuck")
	}
	for range 2 {
		wantClosed(t, <-errs, transport.CodeNormal, false)
	}
}

func TestOversizeIsRefused(t *testing.T) {
	const limit = 1000
	ended := make(chan error, 1)
	url := serve(t, &transport.AcceptOptions{MaxMessage: limit}, func(c transport.Conn) {
		if _, err := c.Read(context.Background(), nil); err != nil {
			t.Errorf("a message of the limit's size was refused: %v", err)
		}
		dst, err := c.Read(context.Background(), []byte("as it was"))
		if string(dst) != "as it was" {
			t.Errorf("dst became %q", dst)
		}
		ended <- err
	})
	conn := dial(t, url, nil)
	mustWrite(t, conn, strings.Repeat("x", limit))
	mustWrite(t, conn, strings.Repeat("x", 100*limit))
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeTooLarge, true)
	err = <-ended
	wantClosed(t, err, transport.CodeTooLarge, false)
	if !errors.Is(err, transport.ErrTooLarge) {
		t.Fatalf("%v does not match ErrTooLarge", err)
	}
}

func TestTextIsRefused(t *testing.T) {
	closed := make(chan error, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		ws.Write(r.Context(), websocket.MessageText, []byte("{}"))
		_, _, err = ws.Read(r.Context())
		closed <- err
	})
	_, err := dial(t, url, nil).Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeUnsupported, false)
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Fatalf("the peer saw %v", err)
	}
}

// upgradeByHand answers a handshake and returns the socket, so that a test can
// send frames that no library would.
func upgradeByHand(t *testing.T, w http.ResponseWriter, r *http.Request, header string) (net.Conn, *bufio.ReadWriter) {
	t.Helper()
	socket, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n%s\r\n", base64.StdEncoding.EncodeToString(sum[:]), header)
	rw.Flush()
	return socket, rw
}

func TestHostileFramesEndTheConnection(t *testing.T) {
	for name, frame := range map[string]string{
		"A31 compressed":         "\xc2\x02hi",
		"reserved bit":           "\xa2\x02hi",
		"unknown opcode":         "\x83\x02hi",
		"continuation of none":   "\x80\x02hi",
		"close with no sense":    "\x88\x01x",
		"close of reserved code": "\x88\x02\x03\xed",
		"fragmented ping":        "\x09\x02hi",
		"A28 huge length":        "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 5000),
		"negative length":        "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
				socket, rw := upgradeByHand(t, w, r, "")
				defer socket.Close()
				rw.WriteString(frame)
				rw.Flush()
				io.Copy(io.Discard, rw) // until the client hangs up
			})
			conn := dial(t, url, &transport.DialOptions{MaxMessage: 1000})
			_, err := conn.Read(t.Context(), nil)
			var closed *transport.CloseError
			if !errors.As(err, &closed) || closed.Remote {
				t.Fatalf("got %v, want our own refusal", err)
			}
		})
	}
}

func TestALinkThatBreaksIsNoOrderlyEnd(t *testing.T) {
	for name, frame := range map[string]string{
		"between messages": "", "within one": "\x82\x05he", "after its first byte": "\x82\x05h",
		"after its header": "\x82\x05", "between its frames": "\x02\x02he", "within a header": "\x82",
	} {
		t.Run(name, func(t *testing.T) {
			url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
				socket, rw := upgradeByHand(t, w, r, "")
				rw.WriteString(frame)
				rw.Flush()
				socket.Close()
			})
			_, err := dial(t, url, nil).Read(t.Context(), nil)
			wantClosed(t, err, transport.CodeAbnormal, true)
			if errors.Is(err, io.EOF) {
				t.Fatalf("%v matches io.EOF", err)
			}
		})
	}
}

func TestA47CloseReasonIsEscaped(t *testing.T) {
	url := serve(t, nil, func(c transport.Conn) { c.Close(4000, "\x1b[2J\nforged line \u202e") })
	_, err := dial(t, url, nil).Read(t.Context(), nil)
	wantClosed(t, err, 4000, true)
	if text := err.Error(); !strings.Contains(text, `"\x1b[2J\nforged line \u202e"`) {
		t.Fatalf("shown as %q", text)
	}
}

func TestA27CompressionIsNeitherOfferedNorAccepted(t *testing.T) {
	offered := make(chan string, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		offered <- r.Header.Get("Sec-WebSocket-Extensions")
		upgradeHeader := "Sec-WebSocket-Extensions: permessage-deflate\r\n"
		socket, _ := upgradeByHand(t, w, r, upgradeHeader)
		socket.Close()
	})
	if e := dialError(t, url, nil); !e.Permanent() {
		t.Errorf("a server that turns on what was not offered: %v", e)
	}
	if got := <-offered; got != "" {
		t.Errorf("Dial offers %q", got)
	}

	url = serve(t, nil, echo)
	ws, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("Accept agrees to %q", got)
	}
}

func TestA48RedirectIsRefused(t *testing.T) {
	visited := false
	target := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { visited = true })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http"+strings.TrimPrefix(target, "ws")+"/?token=secret", status)
		})
		e := dialError(t, url, &transport.DialOptions{Header: http.Header{"Authorization": {"Bearer secret"}}})
		if e.Status != status || !e.Permanent() || strings.Contains(e.Error(), "secret") {
			t.Errorf("%d: %v", status, e)
		}
	}
	if visited {
		t.Error("the target was visited")
	}
}

func TestA48NoCredentialInTheClear(t *testing.T) {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		e := dialError(t, "ws://192.0.2.1/", &transport.DialOptions{Sealed: true, Header: http.Header{name: {"secret"}}})
		if !e.Permanent() || !strings.Contains(e.Error(), name) || strings.Contains(e.Error(), "secret") {
			t.Errorf("%s: %v", name, e)
		}
	}
	sent := make(chan string, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { sent <- r.Header.Get("Authorization") })
	dialError(t, url, &transport.DialOptions{Header: http.Header{"Authorization": {"local"}}})
	if got := <-sent; got != "local" {
		t.Errorf("to this machine the header came as %q", got)
	}
}

func TestA48ErrorsHoldNothingOfTheURLButItsHost(t *testing.T) {
	const marker = "s3cr3t"
	closedPort := freeport.Address(t)
	notFound := strings.TrimPrefix(serveHTTP(t, http.NotFound), "ws://")
	for _, url := range []string{
		"ws://" + closedPort + "/" + marker + "?token=" + marker,
		"ws://user:" + marker + "@" + closedPort,
		"wss://" + marker + "@" + closedPort + "/?" + marker,
		"ws://" + notFound + "/" + marker + "?" + marker,
		"wss://" + notFound + "/?" + marker,
		"ftp://" + closedPort + "/" + marker,
		"ws://" + closedPort + "/#" + marker,
		"ws://" + closedPort + "/%zz" + marker,
		"wss://hopseal.invalid/?" + marker,
		"://" + marker,
	} {
		err := error(dialError(t, url, nil))
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), marker) {
				t.Errorf("%s: the error holds the secret: %v", url, err)
			}
		}
	}
}

func TestDialErrorsSayWhatToDo(t *testing.T) {
	status := func(code int) string {
		return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) })
	}
	raw := func(answer string) string {
		return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			socket, rw, _ := http.NewResponseController(w).Hijack()
			rw.WriteString(answer)
			rw.Flush()
			socket.Close()
		})
	}
	untrusted, _ := tlsServer(t, echo)
	for name, c := range map[string]struct {
		url       string
		want      string
		status    int
		permanent bool
	}{
		"scheme":       {"ftp://example.com", `must start with wss:// or ws://, not "ftp"`, 0, true},
		"no scheme":    {"example.com/socket", "must start with wss:// or ws://", 0, true},
		"no host":      {"ws:///path", "names no host", 0, true},
		"only a port":  {"ws://:80/", "names no host", 0, true},
		"user":         {"wss://me:pw@example.com", "user name or password", 0, true},
		"fragment":     {"ws://127.0.0.1/#x", "fragment", 0, true},
		"refused":      {"ws://" + freeport.Address(t), "is the server running", 0, false},
		"no such host": {"wss://hopseal.invalid", "host", 0, false},
		"404":          {status(404), "404 Not Found instead of opening a WebSocket: check the path", 404, true},
		"401":          {status(401), "401 Unauthorized: it wants other credentials", 401, true},
		"503":          {status(503), "503 Service Unavailable: try again later", 503, false},
		"200":          {status(200), "200 OK instead of", 200, true},
		"599":          {status(599), "answered 599: try", 599, false},
		"false 101":    {raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "handshake is wrong", 101, true},
		"other":        {raw("220 mail.example ESMTP\r\n"), "not a WebSocket server", 0, false},
		"hangs up":     {raw(""), "closed without an answer", 0, false},
		"no TLS":       {"wss" + strings.TrimPrefix(status(200), "ws"), "does not speak TLS", 0, true},
		"certificate":  {untrusted, "certificate is self-signed", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := dialError(t, c.url, nil)
			if !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "\n") {
				t.Errorf("got %q, want %q in one line", e, c.want)
			}
			if e.Status != c.status || e.Permanent() != c.permanent {
				t.Errorf("status %d, permanent %v", e.Status, e.Permanent())
			}
		})
	}
}

func TestDialTLSOfAnotherName(t *testing.T) {
	url, roots := tlsServer(t, echo)
	e := dialError(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{RootCAs: roots, ServerName: "other.example"}}})
	if !strings.Contains(e.Error(), "another name") || !e.Permanent() {
		t.Fatalf("got %v", e)
	}
	var cert *tls.CertificateVerificationError
	if !errors.As(e, &cert) {
		t.Fatalf("%v does not hand on the cause", e)
	}
}

func TestDialTakesNoOldTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}
	e := dialError(t, "wss"+strings.TrimPrefix(s.URL, "https"), &transport.DialOptions{TLS: &transport.TLSOptions{Base: conf}})
	if !strings.Contains(e.Error(), "no TLS as new as 1.2") {
		t.Fatalf("got %v", e)
	}
}

func TestDialObeysItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = transport.Dial(ctx, "ws://"+l.Addr().String(), local)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Fatalf("got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err = transport.Dial(ctx, "ws://"+l.Addr().String(), local); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestA43ForeignOriginIsRefused(t *testing.T) {
	accepted := make(chan transport.Info, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development,
			Origins: []string{"https://app.example.com", "http://[::1]:8080"},
		})
		if err != nil {
			if !errors.Is(err, transport.ErrOrigin) {
				t.Errorf("%v does not match ErrOrigin", err)
			}
			return
		}
		accepted <- conn.Info()
		conn.Close(transport.CodeNormal, "")
	}))
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http")
	for origin, ok := range map[string]bool{
		s.URL:                           true,
		"https://app.example.com":       true,
		"https://app.example.com:443":   true,
		"HTTPS://APP.example.com":       true,
		"http://[::1]:8080":             true,
		"https" + s.URL[4:]:             false, // the same host, another scheme
		"http://127.0.0.1":              false, // another port
		"http://app.example.com":        false,
		"https://app.example.com:8443":  false,
		"https://app.example.com.evil":  false,
		"https://evil.example.com":      false,
		"https://app.example.com/":      false,
		"https://app.example.com@evil":  false,
		"null":                          false,
		"":                              false,
		"file://":                       false,
		"https://app.example.com?x":     false,
		"https://app.example.com#x":     false,
		"https://app.example.com:44399": false,
	} {
		t.Run(origin, func(t *testing.T) {
			req, _ := http.NewRequest("GET", s.URL, nil)
			for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket",
				"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": origin} {
				req.Header[k] = []string{v}
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if ok != (resp.StatusCode == http.StatusSwitchingProtocols) || !ok && resp.StatusCode != http.StatusForbidden {
				t.Fatalf("status %d", resp.StatusCode)
			}
			if ok {
				if got := (<-accepted).Origin; !strings.EqualFold(strings.TrimSuffix(origin, ":443"), got) {
					t.Fatalf("Info has origin %q", got)
				}
			}
		})
	}
	conn := dial(t, url, nil) // no Origin: not a browser
	if got := (<-accepted).Origin; got != "" {
		t.Errorf("origin %q", got)
	}
	conn.Close(transport.CodeNormal, "")
	if e := dialError(t, url, &transport.DialOptions{Header: http.Header{"Origin": {s.URL, s.URL}}}); e.Status != 403 {
		t.Errorf("two origins: %v", e)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestAcceptAnswersAPlainRequest(t *testing.T) {
	w := httptest.NewRecorder()
	_, err := transport.Accept(w, httptest.NewRequest("GET", "/", nil), nil)
	if err == nil || w.Code != http.StatusUpgradeRequired {
		t.Fatalf("status %d, %v", w.Code, err)
	}
}

func TestKeepAliveNoticesASilentPeer(t *testing.T) {
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		socket, _ := upgradeByHand(t, w, r, "")
		defer socket.Close()
		io.Copy(io.Discard, socket) // takes every ping and answers none
	})
	conn := dial(t, url, &transport.DialOptions{KeepAlive: 10 * time.Millisecond})
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeAbnormal, true)
	if !strings.Contains(err.Error(), "ping") {
		t.Fatalf("got %v", err)
	}
}

func TestKeepAliveKeepsALivePeer(t *testing.T) {
	const pings = 5
	pinged := make(chan struct{}, 100)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			OnPingReceived: func(context.Context, []byte) bool { pinged <- struct{}{}; return true },
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		ws.Read(context.Background())
	})
	conn := dial(t, url, &transport.DialOptions{KeepAlive: 10 * time.Millisecond})
	ended := make(chan error, 1)
	go func() { _, err := conn.Read(context.Background(), nil); ended <- err }()
	for range pings {
		select {
		case <-pinged:
		case err := <-ended:
			t.Fatalf("the connection ended: %v", err)
		}
	}
	conn.Close(transport.CodeNormal, "")
	<-ended
}

// A peer that is slow to take a long message cannot answer a ping that waits
// behind it.
func TestKeepAliveSparesAWriteThatWaits(t *testing.T) {
	const every = 10 * time.Millisecond
	began, goOn := make(chan struct{}), make(chan struct{})
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		socket, rw := upgradeByHand(t, w, r, "")
		defer socket.Close()
		rw.Peek(1 << 10) // more than pings
		close(began)
		<-goOn
		io.Copy(io.Discard, rw)
	})
	conn := dial(t, url, &transport.DialOptions{KeepAlive: every})
	written := make(chan error, 1)
	go func() { written <- conn.Write(context.Background(), make([]byte, 32<<20)) }()
	<-began
	ended := make(chan error, 1)
	go func() { _, err := conn.Read(context.Background(), nil); ended <- err }()
	select {
	case err := <-ended:
		t.Errorf("the connection ended: %v", err)
		ended <- err
	case <-time.After(20 * every):
	}
	close(goOn)
	if err := <-written; err != nil {
		t.Errorf("Write: %v", err)
	}
	conn.Close(transport.CodeNormal, "")
	<-ended
}

// A peer that is in the middle of a long message cannot answer a ping.
func TestKeepAliveSparesAMessageThatTrickles(t *testing.T) {
	const (
		every = 100 * time.Millisecond
		chunk = 32 << 10
		size  = 40 * chunk
	)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		socket, _ := upgradeByHand(t, w, r, "")
		defer socket.Close()
		socket.Write(binary.BigEndian.AppendUint64([]byte{0x82, 127}, size))
		tick := time.NewTicker(every / 10)
		defer tick.Stop()
		for range size / chunk {
			<-tick.C
			socket.Write(make([]byte, chunk))
		}
		io.Copy(io.Discard, socket)
	})
	conn := dial(t, url, &transport.DialOptions{KeepAlive: every, MaxMessage: size})
	msg, err := conn.Read(t.Context(), make([]byte, 0, size))
	if err != nil || len(msg) != size {
		t.Fatalf("%d bytes, %v", len(msg), err)
	}
}

func TestSetMaxMessageLowersTheLimitForAWhile(t *testing.T) {
	conn := dial(t, serve(t, nil, echo), &transport.DialOptions{MaxMessage: 1000})
	limit := conn.(interface{ SetMaxMessage(n int) })
	limit.SetMaxMessage(10)
	mustWrite(t, conn, strings.Repeat("x", 10))
	mustRead(t, conn)
	limit.SetMaxMessage(2000)
	mustWrite(t, conn, strings.Repeat("x", 1000))
	mustRead(t, conn)
	mustWrite(t, conn, strings.Repeat("x", 1001))
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeTooLarge, false)
}

// TestNegativeLimits has a limit below zero, which the library below takes for
// none at all.
func TestNegativeLimits(t *testing.T) {
	conn := dial(t, serve(t, nil, echo), &transport.DialOptions{MaxMessage: 1000})
	conn.(interface{ SetMaxMessage(n int) }).SetMaxMessage(-1)
	mustWrite(t, conn, "")
	mustRead(t, conn)
	mustWrite(t, conn, strings.Repeat("x", 1001))
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeTooLarge, false)
}
