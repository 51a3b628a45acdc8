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
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

func init() {
	for _, name := range []string{"Gate", "GateOptions", "NewGate", "Rate", "ConnEvent", "LogTo", "Metric", "NewHTTPServer"} {
		nativeOnly[name] = true
	}
}

const knocking = "GET /socket?token=s3cr3t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Cookie: session=s3cr3t\r\nAuthorization: Bearer s3cr3t\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// knock connects to a ws:// URL from a local address of this machine and asks for an
// upgrade.
func knock(t *testing.T, url, from string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	socket, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	if _, err := io.WriteString(socket, knocking); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(socket)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return socket, r, resp
}

// masked returns a frame as a client sends it, with a mask of zeros. A first byte of
// 0x82 is a whole binary message.
func masked(first byte, payload string) []byte {
	frame := []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	if len(payload) > 125 {
		frame = []byte{first, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload)), 0, 0, 0, 0}
	}
	return append(frame, payload...)
}

// serveGate is serve behind a Gate, for clients that get what they get.
func serveGate(t *testing.T, gate *transport.Gate, handle func(transport.Conn)) string {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true})
		if err != nil {
			if !errors.Is(err, transport.ErrRefused) {
				t.Errorf("%v does not match ErrRefused", err)
			}
			if text := err.Error(); strings.Contains(text, "s3cr3t") {
				t.Errorf("the error holds a secret: %v", err)
			}
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		handle(conn)
	})
}

// metric returns one figure of a gate.
func metric(t *testing.T, gate *transport.Gate, name, value string) float64 {
	t.Helper()
	for _, m := range gate.Metrics() {
		if m.Name == name && m.Value == value {
			return m.Number
		}
	}
	t.Fatalf("there is no metric %s %s", name, value)
	return 0
}

// Fifty addresses take all that they can get and hold on to it. Whoever comes from
// another one still gets in.
func TestA33AFloodLeavesRoomForOthers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs the whole of 127.0.0.0/8")
	}
	gate := transport.NewGate(&transport.GateOptions{MaxConns: 100, MaxConnsPerAddress: 8})
	url := serveGate(t, gate, echo)
	statuses, mu := map[int]int{}, sync.Mutex{}
	var flood sync.WaitGroup
	for i := range 50 {
		flood.Go(func() {
			for range 10 {
				_, _, resp := knock(t, url, fmt.Sprintf("127.0.1.%d", i+1))
				if resp.StatusCode != http.StatusSwitchingProtocols {
					wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
					if err != nil || wait < 5 || wait > 10 || !resp.Close {
						t.Errorf("status %d with Retry-After %d, %v, close %v", resp.StatusCode, wait, err, resp.Close)
					}
				}
				mu.Lock()
				statuses[resp.StatusCode]++
				mu.Unlock()
			}
		})
	}
	flood.Wait()
	if in := statuses[http.StatusSwitchingProtocols]; in < 90 || in > 99 || in+statuses[429]+statuses[503] != 500 {
		t.Errorf("the flood was answered %v", statuses)
	}
	conn := dial(t, url, nil)
	mustWrite(t, conn, "honest")
	if got := mustRead(t, conn); got != "honest" {
		t.Errorf("got %q", got)
	}
}

// One address that comes and goes as fast as it can is slowed down; others are not.
func TestA33AFloodOfHandshakesIsCheapToRefuse(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{ConnRate: transport.Rate{PerSecond: 0.001, Burst: 5}})
	url := serveGate(t, gate, func(transport.Conn) {})
	from := map[int]int{}
	for range 50 {
		socket, _, resp := knock(t, url, "127.0.0.1")
		from[resp.StatusCode]++
		socket.Close()
	}
	if from[101] != 5 || from[429] != 45 {
		t.Errorf("answers: %v", from)
	}
	if n := metric(t, gate, "hopseal_connections_refused_total", "rate"); n != 45 {
		t.Errorf("%v refusals counted", n)
	}
}

// The client of this project understands the answers of its gate.
func TestARefusedClientLearnsWhenToComeBack(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{ConnRate: transport.Rate{PerSecond: 0.01, Burst: 1}})
	url := serveGate(t, gate, echo)
	dial(t, url, nil)
	e := dialError(t, url, nil)
	if e.Status != http.StatusTooManyRequests || e.Permanent() || e.RetryAfter < 90*time.Second || e.RetryAfter > 100*time.Second {
		t.Errorf("%v, again after %v", e, e.RetryAfter)
	}
	if action := redial.ActionFor(e); action != redial.Wait {
		t.Errorf("the client would %v", action)
	}
}

// A slow loris sends the header of its request byte by byte, or nothing at all.
func TestA33ASlowHandshakeIsCut(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = transport.NewHTTPServer(http.NotFoundHandler())
	if server.Config.ReadHeaderTimeout <= 0 || server.Config.ReadTimeout <= 0 || server.Config.MaxHeaderBytes <= 0 || server.Config.IdleTimeout <= 0 {
		t.Fatalf("a server without limits: %+v", server.Config)
	}
	server.Config.ReadHeaderTimeout, server.Config.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	server.Start()
	defer server.Close()
	for name, start := range map[string]string{"nothing": "", "some of it": knocking[:40],
		"a body that never comes": "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			socket, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			io.WriteString(socket, start)
			io.Copy(io.Discard, socket) // until the server hangs up
		})
	}
}

func TestA31ACompressedFrameEndsTheConnection(t *testing.T) {
	ended := make(chan error, 1)
	url := serveGate(t, transport.NewGate(nil), func(c transport.Conn) {
		_, err := c.Read(context.Background(), nil)
		ended <- err
	})
	socket, r, resp := knock(t, url, "127.0.0.1")
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Fatalf("the server agrees to %q", got)
	}
	socket.Write(masked(0xc2, "compressed"))
	wantClosed(t, <-ended, transport.CodeProtocol, false)
	if answer, _ := io.ReadAll(r); len(answer) < 4 || answer[0] != 0x88 || answer[2] != 1002>>8 || answer[3] != 1002&0xff {
		t.Errorf("the peer got %x, want a close message with 1002", answer)
	}
}

// allocated returns how many bytes f allocates, in all goroutines.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestA35AMillionTinyFramesKeepMemoryFlat(t *testing.T) {
	const perWrite = 1000
	frames := 1_000_000
	if slowtest.Mode {
		frames /= 20
	}
	fragment, empty := masked(0x00, "x"), masked(0x00, "")
	first, last := masked(0x02, ""), masked(0x80, "")
	whole := masked(0x82, "x")
	for name, c := range map[string]struct {
		start, frame, end []byte
		messages, size    int // what arrives
	}{
		"fragments of one message":       {first, fragment, last, 1, frames},
		"empty fragments of one message": {first, empty, last, 1, 0},
		"messages":                       {nil, whole, nil, frames, 1},
		"fragments of many messages":     {nil, append(append([]byte{}, masked(0x02, "x")...), last...), nil, frames, 1},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan uint64)
			url := serveGate(t, transport.NewGate(nil), func(conn transport.Conn) {
				buf := make([]byte, 0, transport.DefaultMaxMessage)
				done <- allocated(func() {
					for i := range c.messages {
						msg, err := conn.Read(context.Background(), buf)
						if err != nil || len(msg) != c.size {
							t.Errorf("message %d: %d bytes, %v", i, len(msg), err)
							return
						}
					}
				})
			})
			socket, _, _ := knock(t, url, "127.0.0.1")
			block := bytes.Repeat(c.frame, perWrite)
			socket.Write(c.start)
			for range frames / perWrite {
				socket.Write(block)
			}
			socket.Write(c.end)
			if n := <-done; n > 1<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

// Answering a ping makes garbage, which does not pile up.
func TestA35AFloodOfPingsKeepsMemoryFlat(t *testing.T) {
	pings := 50_000
	if slowtest.Mode {
		pings /= 10
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	done := make(chan int64)
	url := serveGate(t, transport.NewGate(nil), func(conn transport.Conn) {
		before := live()
		conn.Read(context.Background(), nil)
		done <- int64(live()) - int64(before)
	})
	socket, r, _ := knock(t, url, "127.0.0.1")
	go io.Copy(io.Discard, r) // pongs
	block := bytes.Repeat(masked(0x89, ""), 1000)
	for range pings / 1000 {
		socket.Write(block)
	}
	socket.Write(masked(0x82, "x"))
	if n := <-done; n > 1<<20 {
		t.Errorf("%d bytes more in use", n)
	}
}

// A peer that never reads is cut, and costs no memory until then.
func TestA34APeerThatDoesNotReadIsCut(t *testing.T) {
	const limit = 200 * time.Millisecond
	type outcome struct {
		err  error
		took time.Duration
		cost uint64 // bytes
	}
	ended := make(chan outcome, 1)
	events := make(chan transport.ConnEvent, 1)
	gate := transport.NewGate(&transport.GateOptions{WriteTimeout: limit, Notify: func(e transport.ConnEvent) { events <- e }})
	url := serveGate(t, gate, func(c transport.Conn) {
		var o outcome
		msg, began := make([]byte, 100<<10), time.Now()
		o.cost = allocated(func() {
			for o.err == nil {
				o.err = c.Write(context.Background(), msg)
			}
		})
		o.took = time.Since(began)
		ended <- o
	})
	knock(t, url, "127.0.0.1")
	end := <-ended
	err := end.err
	if !errors.Is(err, transport.ErrSlowPeer) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the connection ended with %v", err)
	}
	if want := "transport: we gave up the connection: connection lost (1006): the peer took nothing of what was sent to it for 200ms"; err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
	if end.took < limit {
		t.Errorf("cut after %v already", end.took)
	}
	if e := <-events; e.Outcome != "slow" || e.BytesOut < 100<<10 || e.MessagesOut == 0 || e.Code != transport.CodeAbnormal {
		t.Errorf("event %+v", e)
	}
	if end.cost > 1<<20 {
		t.Errorf("%d bytes allocated", end.cost)
	}
}

// TLS between gate and socket hides neither that a peer does not read, nor is the end
// of such a connection held up by it.
func TestA34APeerThatDoesNotReadIsCutUnderTLS(t *testing.T) {
	events := make(chan transport.ConnEvent, 1)
	gate := transport.NewGate(&transport.GateOptions{WriteTimeout: 200 * time.Millisecond, Notify: func(e transport.ConnEvent) { events <- e }})
	ended := make(chan error, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate})
		for err == nil {
			err = conn.Write(context.Background(), make([]byte, 1<<20))
		}
		ended <- err
	}))
	defer server.Close()
	socket, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	io.WriteString(socket, knocking)
	if err := <-ended; !errors.Is(err, transport.ErrSlowPeer) {
		t.Errorf("the connection ended with %v", err)
	}
	if e := <-events; e.Outcome != "slow" || metric(t, gate, "hopseal_connections", "") != 0 {
		t.Errorf("event %+v", e)
	}
}

func TestAGateCostsAMessageNoAllocation(t *testing.T) {
	rate := transport.Rate{PerSecond: 1e12, Burst: 1 << 30}
	gate := transport.NewGate(&transport.GateOptions{IdleTimeout: time.Hour, MessageRate: rate, ByteRate: rate})
	conn := dial(t, serveGate(t, gate, echo), nil)
	ctx, msg, buf := context.Background(), make([]byte, 64), make([]byte, 0, 64)
	perEcho := testing.AllocsPerRun(200, func() {
		if err := conn.Write(ctx, msg); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(ctx, buf); err != nil {
			t.Fatal(err)
		}
	})
	if perEcho > 0 {
		t.Errorf("%v allocations an echo", perEcho)
	}
}

// What a gate tells of clients, for each way to end.
func TestA42EventsTellHowConnectionsEnd(t *testing.T) {
	var logged bytes.Buffer
	toLog := transport.LogTo(slog.New(slog.NewTextHandler(&logged, nil)))
	events := make(chan transport.ConnEvent, 10)
	gate := transport.NewGate(&transport.GateOptions{Notify: func(e transport.ConnEvent) { toLog(e); events <- e }})
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true, MaxMessage: 100})
		if err != nil {
			return
		}
		defer conn.Close(4000, "s3cr3t reason")
		if msg, err := conn.Read(context.Background(), nil); err == nil && string(msg) == "go on" {
			conn.Write(context.Background(), []byte("well"))
			conn.Read(context.Background(), nil)
		}
	})
	closeFrame := masked(0x88, "\x0f\xa1s3cr3t") // 4001
	for _, c := range []struct {
		name    string
		do      func(net.Conn)
		outcome string
		code    transport.Code
		in, out int64 // messages
	}{
		{"we close", func(s net.Conn) { s.Write(masked(0x82, "s3cr3t")) }, "closed", 4000, 1, 0},
		{"the peer closes", func(s net.Conn) { s.Write(masked(0x82, "go on")); s.Write(closeFrame) }, "peer_closed", 4001, 1, 1},
		{"it breaks", func(s net.Conn) { s.Close() }, "lost", 1006, 0, 0},
		{"text", func(s net.Conn) { s.Write(masked(0x81, "s3cr3t")) }, "violation", 1003, 0, 0},
		{"too large", func(s net.Conn) { s.Write(masked(0x82, strings.Repeat("s3cr3t", 20))) }, "violation", 1009, 0, 0},
		{"no frame", func(s net.Conn) { s.Write(masked(0x83, "s3cr3t")) }, "violation", 1002, 0, 0},
	} {
		socket, r, _ := knock(t, url, "127.0.0.1")
		c.do(socket)
		if c.outcome == "closed" || c.outcome == "violation" {
			io.ReadFull(r, make([]byte, 4)) // the server's close
			socket.Write(masked(0x88, ""))
		}
		e := <-events
		if e.Outcome != c.outcome || e.Code != c.code || e.Status != 101 || !e.Accepted() || e.Client != "127.0.0.1" ||
			e.MessagesIn != c.in || e.MessagesOut != c.out || e.Duration <= 0 || e.Start.IsZero() {
			t.Errorf("%s: %+v", c.name, e)
		}
		socket.Close()
		if n := metric(t, gate, "hopseal_connections_ended_total", c.outcome); n == 0 {
			t.Errorf("%s was not counted", c.outcome)
		}
	}
	host := strings.TrimPrefix(url, "ws://")
	for _, c := range []struct {
		request string
		outcome string
		status  int
	}{
		{"GET /?token=s3cr3t HTTP/1.1\r\nHost: localhost\r\nCookie: s3cr3t\r\n\r\n", "handshake", 426},
		{strings.Replace(knocking, "Cookie", "Origin: https://s3cr3t.example\r\nCookie", 1), "forbidden", 403},
	} {
		socket, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(socket, c.request)
		if e := <-events; e.Outcome != c.outcome || e.Status != c.status || e.Accepted() || e.Code != 0 {
			t.Errorf("%s: %+v", c.outcome, e)
		}
		socket.Close()
	}
	if strings.Contains(logged.String(), "s3cr3t") {
		t.Errorf("the log holds a secret:\n%s", &logged)
	}
	if n := strings.Count(logged.String(), "level=WARN msg=\"connection refused\" client=127.0.0.1 start="); n != 2 {
		t.Errorf("%d refusals in the log:\n%s", n, &logged)
	}
	if held := metric(t, gate, "hopseal_connections", ""); held != 0 {
		t.Errorf("%v connections left", held)
	}
}

// A client that was let in just before the gate closed, and was slow to get through
// what comes next, is drained like the others.
func TestALateUpgradeIsDrainedToo(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{DrainLead: -1})
	drained := make(chan error, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true,
			Authenticate: func(_ context.Context, _ *transport.Caller) (transport.Grant, error) {
				gate.Withdraw(cancelled())
				go func() { drained <- gate.Drain(context.Background()) }()
				return transport.Grant{}, nil
			}})
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		_, err = conn.Read(context.Background(), nil)
		wantClosed(t, err, transport.CodeRestart, false)
	})
	_, err := dial(t, url, nil).Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeRestart, true)
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}
