//go:build !js

package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
)

// listenTCP starts a server on loopback and returns its address.
func listenTCP(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().String()
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// through sends text through a hop, in pieces of some size, and returns what arrived
// and how the server saw the end.
func through(t *testing.T, script hostile.Script, text string, size int) (string, error) {
	t.Helper()
	type end struct {
		b   []byte
		err error
	}
	ends := make(chan end, 1)
	server := listenTCP(t, func(c net.Conn) {
		b, err := io.ReadAll(c)
		ends <- end{b, err}
	})
	hop := hostile.Listen(t, server, func(int) hostile.Script { return script })
	c := dialTCP(t, hop.Addr())
	for part := range slices.Chunk([]byte(text), size) {
		if _, err := c.Write(part); err != nil {
			break
		}
	}
	c.CloseWrite()
	got := <-ends
	return string(got.b), got.err
}

func TestProxyFaultsOnBytes(t *testing.T) {
	const text = "0123456789abcdef"
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
	for name, c := range map[string]struct {
		fault func() hostile.Fault
		want  string
	}{
		"nothing":     {func() hostile.Fault { return nil }, text},
		"drop":        {func() hostile.Fault { return hostile.At(4, 3, hostile.Drop) }, "0123789abcdef"},
		"drop first":  {func() hostile.Fault { return hostile.At(0, 3, hostile.Drop) }, "3456789abcdef"},
		"drop last":   {func() hostile.Fault { return hostile.At(13, 3, hostile.Drop) }, "0123456789abc"},
		"repeat":      {func() hostile.Fault { return hostile.At(4, 3, hostile.Repeat) }, "0123456456789abcdef"},
		"flip":        {func() hostile.Fault { return hostile.At(4, 1, hostile.Flip) }, "0123556789abcdef"},
		"truncate":    {func() hostile.Fault { return hostile.At(4, 3, hostile.Truncate) }, "012345789abcdef"},
		"extend":      {func() hostile.Fault { return hostile.At(4, 3, hostile.Extend) }, "0123456\x00789abcdef"},
		"invent":      {func() hostile.Fault { return hostile.At(4, 1, hostile.Invent([]byte("!!"))) }, "0123!!456789abcdef"},
		"cut":         {func() hostile.Fault { return hostile.At(4, 1, hostile.Cut) }, "0123"},
		"cut within":  {func() hostile.Fault { return hostile.At(4, 4, hostile.CutWithin) }, "012345"},
		"lose rest":   {func() hostile.Fault { return hostile.From(4, hostile.Drop) }, "0123"},
		"trickle":     {func() hostile.Fault { return hostile.From(4, hostile.Trickle(1, time.Millisecond)) }, text},
		"delay":       {func() hostile.Fault { return hostile.Delay(time.Millisecond) }, text},
		"two":         {func() hostile.Fault { return both(hostile.At(2, 1, hostile.Drop), hostile.At(4, 1, hostile.Drop)) }, "01346789abcdef"},
		"corrupt one": {func() hostile.Fault { return hostile.At(4, 1, hostile.Corrupt(rng())) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			for _, size := range []int{1, 3, 5, 16} { // however it is cut in pieces
				got, err := through(t, hostile.Script{FromClient: c.fault()}, text, size)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, got)
				if c.want != "" && got != c.want {
					t.Errorf("in pieces of %d: %q, want %q", size, got, c.want)
				}
			}
			if len(slices.Compact(seen)) != 1 || c.want == "" && seen[0] == text {
				t.Errorf("not the same each time, or nothing happened: %q", seen)
			}
		})
	}
}

// both applies one fault to what another one sends.
func both(first, second hostile.Fault) hostile.Fault {
	return func(p hostile.Path, piece []byte) {
		first(chained{p, func(b []byte) { second(p, b) }}, piece)
	}
}

type chained struct {
	hostile.Path
	send func([]byte)
}

func (c chained) Send(b []byte) { c.send(b) }

func TestProxyResets(t *testing.T) {
	for name, fault := range map[string]hostile.Fault{"reset": hostile.Reset, "within": hostile.ResetWithin} {
		_, err := through(t, hostile.Script{FromClient: hostile.At(4, 4, fault)}, "0123456789", 10)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProxyEchoes(t *testing.T) {
	server := listenTCP(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	hop := hostile.Listen(t, server, func(int) hostile.Script { return hostile.Script{FromClient: hostile.Echo} })
	c := dialTCP(t, hop.Addr())
	io.WriteString(c, "mirror")
	got := make([]byte, 6)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "mirror" {
		t.Fatalf("%q, %v", got, err)
	}
}

// One direction takes nothing any more; the other one goes on, and when its sender
// leaves, the link is over.
func TestProxyStallsOneWay(t *testing.T) {
	leave := make(chan struct{})
	server := listenTCP(t, func(c net.Conn) {
		io.WriteString(c, "still here")
		<-leave
	})
	hop := hostile.Listen(t, server, func(int) hostile.Script {
		return hostile.Script{FromClient: hostile.From(3, hostile.Stall)}
	})
	c := dialTCP(t, hop.Addr())
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 64<<20)) // no socket holds that much
		written <- err
	}()
	got := make([]byte, 10)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "still here" {
		t.Fatalf("%q, %v", got, err)
	}
	select {
	case err := <-written:
		t.Fatalf("a stalled hop took 64 MiB, or broke: %v", err)
	default:
	}
	close(leave)
	if err := <-written; err == nil {
		t.Error("the link outlived both its directions")
	}
}

func TestProxyClosesWithItsLinks(t *testing.T) {
	server := listenTCP(t, func(c net.Conn) { io.Copy(c, c) })
	hop := hostile.Listen(t, "ws://"+server+"/path?query", func(n int) hostile.Script {
		if n == 1 {
			return hostile.Script{FromClient: hostile.Stall, ToClient: hostile.Stall}
		}
		return hostile.Script{}
	})
	var conns []net.Conn
	for range 3 {
		c := dialTCP(t, hop.Addr())
		c.Write([]byte("x"))
		conns = append(conns, c)
	}
	for _, i := range []int{0, 2} {
		if _, err := io.ReadFull(conns[i], make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	hop.CutAll()
	for _, c := range conns {
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes through a link that was cut", n)
		}
	}
	hop.Close()
	if all, open := hop.Links(); all != 3 || open != 0 {
		t.Errorf("%d links, %d of them open", all, open)
	}
	if c, err := net.Dial("tcp", hop.Addr()); err == nil {
		c.Close()
		t.Error("the hop still listens")
	}
}

func TestProxyInFrontOfNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	hop := hostile.Listen(t, l.Addr().String(), nil)
	if _, err := dialTCP(t, hop.Addr()).Read(make([]byte, 1)); err == nil {
		t.Error("there is an answer")
	}
}

func TestProxyIsTheSameForASeed(t *testing.T) {
	picks := func(seed uint64) (out []int) {
		plan := hostile.Seeded(seed, func(rng *rand.Rand) hostile.Script {
			out = append(out, rng.IntN(1000))
			return hostile.Script{}
		})
		for n := range 10 {
			plan(n)
		}
		return out
	}
	if a, b, c := picks(1), picks(1), picks(2); !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("%v, %v, %v", a, b, c)
	}
}

// serveWS starts a server that gives its connections to handle, and a hop before it.
func serveWS(t *testing.T, plan func(n int) hostile.Script, handle func(transport.Conn)) *hostile.Proxy {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
		if err != nil {
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		handle(conn)
	}))
	t.Cleanup(server.Close)
	return hostile.Listen(t, server.URL, plan)
}

func dialWS(t *testing.T, hop *hostile.Proxy) transport.Conn {
	t.Helper()
	conn, err := transport.Dial(t.Context(), hop.URL(), &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return conn
}

// readAll reads until the end of a connection.
func readAll(conn transport.Conn) (got []string, err error) {
	for {
		var msg []byte
		if msg, err = conn.Read(context.Background(), nil); err != nil {
			return got, err
		}
		got = append(got, string(msg))
	}
}

// Faults do the same to the messages of a pipe and to those of a WebSocket, in both
// directions, where they do not end the link.
func TestFaultsOnMessages(t *testing.T) {
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(7, 7)) }
	for name, c := range map[string]struct {
		fault func() hostile.Fault
		want  string
	}{
		"nothing":   {func() hostile.Fault { return hostile.Pass }, "m1 m2 m3 m4 m5 m6"},
		"drop":      {func() hostile.Fault { return hostile.Every(3, hostile.Drop) }, "m1 m2 m4 m5"},
		"nth":       {func() hostile.Fault { return hostile.Nth(2, hostile.Drop) }, "m1 m3 m4 m5 m6"},
		"from nth":  {func() hostile.Fault { return hostile.FromNth(3, hostile.Drop) }, "m1 m2"},
		"repeat":    {func() hostile.Fault { return hostile.Nth(2, hostile.Repeat) }, "m1 m2 m2 m3 m4 m5 m6"},
		"reorder":   {func() hostile.Fault { return hostile.Reorder(2, nil) }, "m2 m1 m4 m3 m6 m5"},
		"by chance": {func() hostile.Fault { return hostile.Reorder(6, rng()) }, "m6 m1 m2 m4 m3 m5"},
		"truncate":  {func() hostile.Fault { return hostile.Nth(2, hostile.Truncate) }, "m1 m m3 m4 m5 m6"},
		"extend":    {func() hostile.Fault { return hostile.Nth(2, hostile.Extend) }, "m1 m2\x00 m3 m4 m5 m6"},
		"flip":      {func() hostile.Fault { return hostile.Nth(2, hostile.Flip) }, "m1 m3 m3 m4 m5 m6"},
		"invent":    {func() hostile.Fault { return hostile.Nth(2, hostile.Invent([]byte("?"))) }, "m1 ? m2 m3 m4 m5 m6"},
		"replay":    {func() hostile.Fault { return hostile.Replay() }, "m1 m2 m1 m3 m1 m4 m1 m5 m1 m6 m1"},
		"sometimes": {func() hostile.Fault { return hostile.Sometimes(2, rng(), hostile.Drop) }, "m3 m4 m5"},
		"splice":    {func() hostile.Fault { return hostile.Splice() }, "m1 m2 m3 m4 m5"},
		"as pipes":  {func() hostile.Fault { return hostile.Messages(hostile.ForPipe(hostile.Nth(1, hostile.Drop))) }, "m2 m3 m4 m5 m6"},
	} {
		t.Run(name, func(t *testing.T) {
			say := func(conn transport.Conn) {
				for i := range 6 {
					conn.Write(context.Background(), fmt.Append(nil, "m", i+1))
				}
				conn.Close(transport.CodeGoingAway, "said")
			}
			check := func(where string, got []string, err error) {
				t.Helper()
				var closed *transport.CloseError
				if strings.Join(got, " ") != c.want || !errors.As(err, &closed) || closed.Code != transport.CodeGoingAway || !closed.Remote {
					t.Errorf("%s: %q, %v, want %q", where, got, err, c.want)
				}
			}
			a, b := transport.Pipe(transport.WithFaults(hostile.ForPipe(c.fault()), nil))
			say(a)
			got, err := readAll(b)
			check("pipe", got, err)

			plan := func(int) hostile.Script { return hostile.Frames(nil, c.fault()) }
			got, err = readAll(dialWS(t, serveWS(t, plan, say)))
			check("to the client", got, err)

			heard := make(chan struct{})
			plan = func(int) hostile.Script { return hostile.Frames(c.fault(), nil) }
			hop := serveWS(t, plan, func(conn transport.Conn) {
				defer close(heard)
				got, err = readAll(conn)
			})
			say(dialWS(t, hop))
			<-heard
			check("from the client", got, err)
		})
	}
}

// A hop that ends the link, be it within a message, never makes it look like an
// orderly end, nor a part look like a message.
func TestFaultsThatEndALink(t *testing.T) {
	for name, fault := range map[string]hostile.Fault{
		"cut": hostile.Cut, "cut within": hostile.CutWithin, "reset": hostile.Reset, "reset within": hostile.ResetWithin,
	} {
		t.Run(name, func(t *testing.T) {
			check := func(where string, got []string, err error) {
				t.Helper()
				var closed *transport.CloseError
				if !errors.As(err, &closed) || closed.Code != transport.CodeAbnormal || !closed.Remote || errors.Is(err, io.EOF) {
					t.Errorf("%s: ended with %v", where, err)
				}
				if len(got) > 1 || len(got) == 1 && got[0] != "one" || strings.HasPrefix(name, "cut") && len(got) == 0 { // a reset may overtake
					t.Errorf("%s: got %q", where, got)
				}
			}
			say := func(conn transport.Conn) {
				conn.Write(context.Background(), []byte("one"))
				conn.Write(context.Background(), []byte("two"))
			}
			heard := make(chan struct{})
			plan := func(int) hostile.Script { return hostile.Frames(hostile.Nth(2, fault), nil) }
			hop := serveWS(t, plan, func(conn transport.Conn) {
				defer close(heard)
				got, err := readAll(conn)
				check("at the server", got, err)
			})
			say(dialWS(t, hop))
			<-heard

			plan = func(int) hostile.Script { return hostile.Frames(nil, hostile.Nth(2, fault)) }
			hop = serveWS(t, plan, func(conn transport.Conn) {
				say(conn)
				readAll(conn)
			})
			got, err := readAll(dialWS(t, hop))
			check("at the client", got, err)
		})
	}
}

func TestMessagesGoBack(t *testing.T) {
	hop := serveWS(t, func(int) hostile.Script { return hostile.Frames(hostile.Echo, nil) }, func(conn transport.Conn) {
		if got, _ := readAll(conn); got != nil {
			t.Errorf("the server got %q", got)
		}
	})
	conn := dialWS(t, hop)
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} { // every form of a frame's length
		msg := bytes.Repeat([]byte{1, 2, 3, 4, 5}, size/5+1)[:size]
		if err := conn.Write(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Read(t.Context(), nil); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	conn.Close(transport.CodeNormal, "")
}

// Two clients get each other's messages.
func TestLinksAreSpliced(t *testing.T) {
	splice, passed := hostile.Splice(), make(chan struct{}, 2)
	fault := func(p hostile.Path, piece []byte) {
		splice(p, piece)
		passed <- struct{}{}
	}
	hop := serveWS(t, func(int) hostile.Script { return hostile.Frames(fault, nil) }, echo)
	a, b := dialWS(t, hop), dialWS(t, hop)
	a.Write(t.Context(), []byte("of a"))
	<-passed
	b.Write(t.Context(), []byte("of b"))
	got, err := b.Read(t.Context(), nil)
	if err != nil || string(got) != "of a" {
		t.Fatalf("%q, %v", got, err)
	}
}

func echo(conn transport.Conn) {
	for {
		msg, err := conn.Read(context.Background(), nil)
		if err != nil || conn.Write(context.Background(), msg) != nil {
			return
		}
	}
}

// What is no WebSocket passes.
func TestFramesLetHTTPPass(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	hop := hostile.Listen(t, server.URL, func(int) hostile.Script { return hostile.Frames(hostile.Drop, hostile.Drop) })
	_, err := transport.Dial(t.Context(), hop.URL(), &transport.DialOptions{Policy: transport.Development})
	var failed *transport.DialError
	if !errors.As(err, &failed) || failed.Status != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
}
