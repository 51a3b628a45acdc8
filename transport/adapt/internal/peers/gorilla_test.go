package peers

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
	"github.com/hopseal/hopseal/transport/conntest"
)

func TestMain(m *testing.M) { leak.Main(m) }

var limited = &adapt.Options{MaxMessage: conntest.MaxMessage}

// accepted starts a server and returns its ws:// URL and the connections that it
// gets, made by upgrade.
func accepted(t *testing.T, upgrade func(w http.ResponseWriter, r *http.Request) (transport.Conn, error)) (string, <-chan transport.Conn) {
	t.Helper()
	conns := make(chan transport.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrade(w, r)
		if err != nil {
			t.Errorf("upgrade: %v", err)
		}
		conns <- conn
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http"), conns
}

func gorillaServer(w http.ResponseWriter, r *http.Request) (transport.Conn, error) {
	ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return adapt.FromGorilla(ws, limited), nil
}

func gorillaDial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

func ourServer(w http.ResponseWriter, r *http.Request) (transport.Conn, error) {
	return transport.Accept(w, r, &transport.AcceptOptions{MaxMessage: conntest.MaxMessage, Policy: transport.Development})
}

func TestGorillaOnBothEnds(t *testing.T) {
	conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) {
		url, conns := accepted(t, gorillaServer)
		return adapt.FromGorilla(gorillaDial(t, url), limited), <-conns
	}})
}

func TestGorillaServer(t *testing.T) {
	conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) {
		url, conns := accepted(t, gorillaServer)
		a, err := transport.Dial(t.Context(), url, &transport.DialOptions{MaxMessage: conntest.MaxMessage, Policy: transport.Development})
		if err != nil {
			t.Fatal(err)
		}
		return a, <-conns
	}})
}

func TestGorillaClient(t *testing.T) {
	conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) {
		url, conns := accepted(t, ourServer)
		return adapt.FromGorilla(gorillaDial(t, url), limited), <-conns
	}})
}

// A peer that is no adapter: what it sends that a Conn does not take.
func TestWhatGorillaMaySend(t *testing.T) {
	for name, c := range map[string]struct {
		send func(ws *websocket.Conn)
		want transport.CloseError
	}{
		"text":     {func(ws *websocket.Conn) { ws.WriteMessage(websocket.TextMessage, []byte("{}")) }, transport.CloseError{Code: transport.CodeUnsupported}},
		"no close": {func(ws *websocket.Conn) { ws.NetConn().Close() }, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
		"half a message": {func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\x82\x85\x00\x00\x00\x00h"))
			ws.NetConn().Close()
		}, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
		"only its frame": {func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\x02\x82\x00\x00\x00\x00he"))
			ws.NetConn().Close()
		}, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
		"a close within a message": {func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\x02\x82\x00\x00\x00\x00he\x88\x82\x00\x00\x00\x00\x03\xe9"))
		}, transport.CloseError{Code: transport.CodeGoingAway, Remote: true}},
		"a close without a code": {func(ws *websocket.Conn) { ws.WriteControl(websocket.CloseMessage, nil, time.Time{}) }, transport.CloseError{Code: transport.CodeNoStatus, Remote: true}},
		"a page's code": {func(ws *websocket.Conn) {
			ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4908, "from a page"), time.Time{})
		}, transport.CloseError{Code: transport.CodePolicy, Remote: true}},
		"a close that is no sense": {func(ws *websocket.Conn) { ws.NetConn().Write([]byte("\x88\x82\x00\x00\x00\x00\x03\xed")) }, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
		"a frame that is no sense": {func(ws *websocket.Conn) { ws.NetConn().Write([]byte("\x83\x81\x00\x00\x00\x00x")) }, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
		"a frame of 2^62 bytes": {func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", conntest.MaxMessage+1)))
		}, transport.CloseError{Code: transport.CodeTooLarge}},
		"a frame of negative bytes": {func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"))
		}, transport.CloseError{Code: transport.CodeAbnormal, Remote: true}},
	} {
		t.Run(name, func(t *testing.T) {
			url, conns := accepted(t, gorillaServer)
			ws := gorillaDial(t, url)
			defer ws.Close()
			conn := <-conns
			defer conn.Close(transport.CodeNormal, "")
			c.send(ws)
			go func() { // so that a close is confirmed
				for {
					if _, _, err := ws.NextReader(); err != nil {
						ws.Close()
						return
					}
				}
			}()
			msg, err := conn.Read(context.Background(), nil)
			var closed *transport.CloseError
			if !errors.As(err, &closed) || closed.Code != c.want.Code || closed.Remote != c.want.Remote {
				t.Fatalf("%q, %v, want %v", msg, err, &c.want)
			}
		})
	}
}

// Code that was written for gorilla/websocket, over a Conn.
func TestToGorilla(t *testing.T) {
	url, conns := accepted(t, ourServer)
	ws := gorillaDial(t, url)
	defer ws.Close()
	g := adapt.ToGorilla(<-conns)
	g.SetReadLimit(10)
	var _ adapt.GorillaConn = ws
	for _, speak := range []struct {
		from interface{ WriteMessage(int, []byte) error }
		to   interface {
			ReadMessage() (int, []byte, error)
			NextReader() (int, io.Reader, error)
		}
	}{{g, ws}, {ws, g}} {
		for range 2 {
			if err := speak.from.WriteMessage(websocket.BinaryMessage, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		if kind, p, err := speak.to.ReadMessage(); kind != websocket.BinaryMessage || string(p) != "hello" || err != nil {
			t.Fatalf("%d, %q, %v", kind, p, err)
		}
		kind, r, err := speak.to.NextReader()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatalf("%d, %v", kind, err)
		}
		if p, err := io.ReadAll(r); string(p) != "hello" || err != nil {
			t.Fatalf("%q, %v", p, err)
		}
	}
	if err := g.WriteMessage(websocket.TextMessage, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("text: %v", err)
	}
	if g.LocalAddr().String() != ws.RemoteAddr().String() {
		t.Errorf("%v is not %v", g.LocalAddr(), ws.RemoteAddr())
	}
	heard := make(chan error, 1)
	go func() { _, _, err := ws.ReadMessage(); heard <- err }()
	if err := g.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "bye"), time.Time{}); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-heard; !websocket.IsCloseError(err, 4001) {
		t.Errorf("the peer saw %v", err)
	}
	if _, _, err := g.ReadMessage(); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

func TestToGorillaDeadlines(t *testing.T) {
	a, b := transport.Pipe()
	defer b.Close(transport.CodeNormal, "")
	g := adapt.ToGorilla(a)
	g.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, _, err := g.ReadMessage(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	g.SetReadDeadline(time.Time{})
	if _, _, err := g.ReadMessage(); !errors.Is(err, errClosed) {
		t.Errorf("as with gorilla, the connection is over; got %v", err)
	}
}

// TestOddLimits sets limits that are all or nothing.
func TestOddLimits(t *testing.T) {
	for _, c := range []struct {
		limit, size int
		ok          bool
	}{{math.MaxInt, 1 << 16, true}, {0, 0, true}, {0, 1, false}, {-1, 0, true}, {-1, 1, false}, {-9, 100, false}} {
		url, conns := accepted(t, func(w http.ResponseWriter, r *http.Request) (transport.Conn, error) {
			ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				return nil, err
			}
			return adapt.FromGorilla(ws, &adapt.Options{MaxMessage: math.MaxInt}), nil
		})
		ws := gorillaDial(t, url)
		conn := <-conns
		conn.(interface{ SetMaxMessage(n int) }).SetMaxMessage(c.limit)
		if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, c.size)); err != nil {
			t.Fatal(err)
		}
		go ws.NextReader() // so that a close is confirmed
		msg, err := conn.Read(t.Context(), nil)
		if (err == nil && len(msg) == c.size) != c.ok || err != nil && !errors.Is(err, transport.ErrTooLarge) {
			t.Errorf("limit %d, size %d: %d bytes, %v", c.limit, c.size, len(msg), err)
		}
		conn.Close(transport.CodeNormal, "")
		ws.Close()
	}
}

// TestToGorillaTakesAnyLimit sets those that are none in gorilla.
func TestToGorillaTakesAnyLimit(t *testing.T) {
	url, conns := accepted(t, ourServer)
	ws := gorillaDial(t, url)
	defer ws.Close()
	g := adapt.ToGorilla(<-conns)
	for _, limit := range []int64{0, -1, math.MaxInt64} {
		g.SetReadLimit(limit)
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := g.ReadMessage(); string(p) != "hello" || err != nil {
			t.Errorf("limit %d: %q, %v", limit, p, err)
		}
	}
}
