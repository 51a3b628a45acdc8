//go:build !js

package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A pipeListener hands pipes in memory to an http.Server, so that it runs on the
// fake clock of testing/synctest. What is written to such a pipe waits until
// somebody reads it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A pipeServer is a server behind a gate, in memory. Each Accept that worked has its
// connection in conns.
type pipeServer struct {
	dials pipeListener
	conns chan transport.Conn
}

func startPipeServer(t *testing.T, gate *transport.Gate) *pipeServer {
	t.Helper()
	s := &pipeServer{make(pipeListener), make(chan transport.Conn, 10)}
	server := transport.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true, KeepAlive: -1})
		if err == nil {
			s.conns <- conn
		}
	}))
	go server.Serve(s.dials)
	t.Cleanup(func() { close(s.dials); server.Close() })
	return s
}

// socket connects without a word.
func (s *pipeServer) socket(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	s.dials <- theirs
	return ours
}

// knock asks for an upgrade. If it is granted the server's end is returned too.
func (s *pipeServer) knock(t *testing.T) (net.Conn, transport.Conn, int) {
	t.Helper()
	socket := s.socket(t)
	go io.WriteString(socket, knocking)
	resp, err := http.ReadResponse(bufio.NewReaderSize(socket, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return socket, nil, resp.StatusCode
	}
	conn := <-s.conns
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return socket, conn, resp.StatusCode
}

// nap sleeps, and reports false if the test ends meanwhile.
func nap(t *testing.T, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-t.Context().Done():
		return false
	}
}

// obey reads from a socket and confirms a close, as a client's library does. What
// was read is in the result, up to the close.
func obey(socket net.Conn) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		var all []byte
		for b := make([]byte, 1<<20); ; {
			n, err := socket.Read(b)
			all = append(all, b[:n]...)
			if n > 1 && b[0] == 0x88 {
				socket.Write(masked(0x88, ""))
			}
			if err != nil {
				got <- all
				return
			}
		}
	}()
	return got
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		s := startPipeServer(t, transport.NewGate(&transport.GateOptions{IdleTimeout: limit}))
		socket, conn, _ := s.knock(t)
		sent := obey(socket)
		began := time.Now()
		go func() {
			for range 3 { // each starts the time anew, in either direction
				time.Sleep(limit / 2)
				socket.Write(masked(0x82, "here I am"))
				time.Sleep(limit / 2)
				conn.Write(context.Background(), []byte("still here"))
			}
		}()
		var err error
		for err == nil {
			_, err = conn.Read(t.Context(), nil)
		}
		if took := time.Since(began); took < 4*limit || took > 4*limit+limit/4 {
			t.Errorf("closed after %v", took)
		}
		if !errors.Is(err, transport.ErrIdle) {
			t.Errorf("the connection ended with %v", err)
		}
		if want := `transport: we gave up the connection: going away (1001) "idle": no message in either direction for 1m0s`; err.Error() != want {
			t.Errorf("the error is %q, want %q", err, want)
		}
		all := <-sent
		if tail := string(all[len(all)-8:]); tail != "\x88\x06\x03\xe9idle" {
			t.Errorf("the peer got %x in the end", tail)
		}
	})
}

// Pings and a message that does not end keep nobody in.
func TestPingsAndTricklingDoNotKeepAConnectionBusy(t *testing.T) {
	for name, frame := range map[string][]byte{"pings": masked(0x89, ""), "fragments": masked(0x00, "x")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startPipeServer(t, transport.NewGate(&transport.GateOptions{IdleTimeout: time.Minute}))
				socket, conn, _ := s.knock(t)
				obey(socket)
				go func() {
					if name == "fragments" {
						socket.Write(masked(0x02, "x"))
					}
					for nap(t, time.Second) {
						if _, err := socket.Write(frame); err != nil {
							return
						}
					}
				}()
				if _, err := conn.Read(t.Context(), nil); !errors.Is(err, transport.ErrIdle) {
					t.Errorf("the connection ended with %v", err)
				}
			})
		})
	}
}

// A peer is slow where it takes less than 64 KiB in the time, and not where it takes
// its time for a long message.
func TestA34SlownessIsMeasuredByPieces(t *testing.T) {
	for name, c := range map[string]struct {
		piece int // that the peer reads at a time
		every time.Duration
		cut   bool
	}{
		"nothing":              {0, time.Second, true},
		"a trickle":            {100, time.Second, true},
		"a slow line":          {64 << 10, 9 * time.Second, false},
		"a line just too slow": {64 << 10, 13 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = 10 * time.Second
				s := startPipeServer(t, transport.NewGate(&transport.GateOptions{WriteTimeout: limit}))
				socket, conn, _ := s.knock(t)
				go func() {
					for b := make([]byte, c.piece); nap(t, c.every); {
						if _, err := io.ReadFull(socket, b); err != nil {
							return
						}
					}
				}()
				began := time.Now()
				err := conn.Write(t.Context(), make([]byte, 20*64<<10))
				took := time.Since(began)
				if errors.Is(err, transport.ErrSlowPeer) != c.cut || err == nil == c.cut {
					t.Errorf("after %v: %v", took, err)
				}
				if c.cut && (took < limit || took > 3*limit) {
					t.Errorf("cut after %v", took)
				}
			})
		})
	}
}

func TestMessagesAboveTheRateWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := transport.NewGate(&transport.GateOptions{MessageRate: transport.Rate{PerSecond: 2, Burst: 10}})
		s := startPipeServer(t, gate)
		socket, conn, _ := s.knock(t)
		go func() {
			for range 31 {
				socket.Write(masked(0x82, "x"))
			}
		}()
		began := time.Now()
		for range 31 {
			if _, err := conn.Read(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("31 messages took %v", took)
		}
		if n := metric(t, gate, "hopseal_pauses_total", ""); n != 20 {
			t.Errorf("%v pauses", n)
		}
	})
}

// All bytes count, also those of pings and of fragments without any content.
func TestBytesAboveTheRateWait(t *testing.T) {
	for name, first := range map[string]byte{"messages": 0x82, "pings": 0x89} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const frames = 100
				frame := masked(first, string(make([]byte, 94))) // 100 bytes
				s := startPipeServer(t, transport.NewGate(&transport.GateOptions{ByteRate: transport.Rate{PerSecond: 1000, Burst: 1000}}))
				socket, conn, _ := s.knock(t)
				go io.Copy(io.Discard, socket)
				go func() {
					for err := error(nil); err == nil; {
						_, err = conn.Read(context.Background(), nil)
					}
				}()
				began := time.Now()
				for range frames {
					socket.Write(frame)
				}
				if took := time.Since(began); took < 8*time.Second || took > 10*time.Second {
					t.Errorf("%d bytes took %v", frames*len(frame), took)
				}
			})
		})
	}
}

// Whoever waits because of a rate can be ended like anybody else.
func TestACloseOrAContextEndsAPause(t *testing.T) {
	for name, opts := range map[string]transport.GateOptions{
		"messages": {MessageRate: transport.Rate{PerSecond: 0.001}},
		"bytes":    {ByteRate: transport.Rate{PerSecond: 0.001}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startPipeServer(t, transport.NewGate(&opts))
				for _, end := range []string{"close", "context"} {
					socket, conn, _ := s.knock(t)
					obey(socket)
					go socket.Write(append(masked(0x82, "x"), masked(0x82, "x")...))
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					if end == "close" {
						time.AfterFunc(5*time.Second, func() { conn.Close(transport.CodeNormal, "") })
					}
					began, err := time.Now(), error(nil)
					for err == nil {
						_, err = conn.Read(ctx, nil)
					}
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("%s: took %v", end, took)
					}
					if errors.Is(err, context.DeadlineExceeded) != (end == "context") {
						t.Errorf("%s: %v", end, err)
					}
				}
			})
		})
	}
}

// A peer whose pong waits because of a rate is not taken for dead.
func TestAPauseIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := transport.NewGate(&transport.GateOptions{ByteRate: transport.Rate{PerSecond: 10}})
		l := make(pipeListener)
		conns := make(chan transport.Conn, 1)
		server := transport.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true, KeepAlive: time.Second}); err == nil {
				conns <- conn
			}
		}))
		go server.Serve(l)
		defer func() { close(l); server.Close() }()
		s := &pipeServer{l, conns}
		socket, conn, _ := s.knock(t)
		go io.Copy(io.Discard, socket) // takes pings and answers none
		go func() {
			for range 5 {
				if _, err := socket.Write(masked(0x82, string(make([]byte, 100)))); err != nil {
					return
				}
			}
		}()
		for range 5 { // eleven seconds each
			if _, err := conn.Read(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		_, err := conn.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeAbnormal, true) // now it is silent
	})
}

// probe returns what a health handler answers.
func probe(h http.Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Code
}

func TestDrainUnreadyFirstThenSpreadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan transport.ConnEvent, 20)
		gate := transport.NewGate(&transport.GateOptions{DrainLead: 5 * time.Second, DrainSpread: 10 * time.Second,
			Notify: func(e transport.ConnEvent) { events <- e }})
		s := startPipeServer(t, gate)
		ends := make(chan time.Duration, 5)
		began := time.Now()
		join := func() {
			socket, conn, status := s.knock(t)
			if status != 101 {
				t.Fatalf("status %d", status)
			}
			sent := obey(socket)
			go func() {
				_, err := conn.Read(context.Background(), nil)
				ends <- time.Since(began)
				wantClosed(t, err, transport.CodeRestart, false)
				if got := string(<-sent); got != "\x88\x1a\x03\xf4the server is going away" {
					t.Errorf("the peer got %q", got)
				}
			}()
		}
		for range 4 {
			join()
		}
		if probe(gate.Live()) != 200 || probe(gate.Ready()) != 200 {
			t.Error("not ready at the start")
		}
		drained := make(chan error)
		go func() { drained <- gate.Drain(t.Context()) }()
		time.Sleep(4 * time.Second)
		if probe(gate.Live()) != 200 || probe(gate.Ready()) != 503 {
			t.Error("still ready, or not live")
		}
		join() // load balancers have not noticed yet
		time.Sleep(2 * time.Second)
		if _, _, status := s.knock(t); status != 503 {
			t.Errorf("a latecomer got %d", status)
		}
		for i := range 5 {
			if at, want := <-ends, 5*time.Second+time.Duration(i)*2*time.Second; at != want {
				t.Errorf("connection %d was closed after %v, want %v", i, at, want)
			}
		}
		if err := <-drained; err != nil || time.Since(began) != 13*time.Second {
			t.Errorf("drained after %v, %v", time.Since(began), err)
		}
		for i := range 6 {
			e := <-events
			if want := map[bool]string{true: "drained", false: "draining"}[e.Accepted()]; e.Outcome != want {
				t.Errorf("event %d is %+v", i, e)
			}
		}
		if err := gate.Drain(t.Context()); err != nil {
			t.Errorf("a second Drain: %v", err)
		}
	})
}

func TestDrainCutsWhatIsLeftWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := transport.NewGate(&transport.GateOptions{DrainSpread: time.Hour})
		s := startPipeServer(t, gate)
		var conns []transport.Conn
		for range 3 {
			_, conn, _ := s.knock(t) // whose peer says and hears nothing
			conns = append(conns, conn)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		err := gate.Drain(ctx)
		if want := "transport: drain: 2 connections were left, and were cut: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 20*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		for _, conn := range conns {
			if _, err := conn.Read(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a connection lives: %v", err)
			}
		}
	})
}

// Those that are told and have not answered yet are left too.
func TestDrainCutsWhoIsStillBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := transport.NewGate(&transport.GateOptions{DrainLead: -1, DrainSpread: -1})
		s := startPipeServer(t, gate)
		var sockets []net.Conn
		for range 3 {
			socket, _, _ := s.knock(t)
			sockets = append(sockets, socket)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := gate.Drain(ctx)
		if want := "transport: drain: 3 connections were left, and were cut: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		for _, socket := range sockets {
			io.Copy(io.Discard, socket)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the sockets were closed after %v", took)
		}
	})
}

func TestDrainOfNobodyIsOverAtOnce(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{DrainLead: -1})
	if err := gate.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAWithdrawalThatIsCancelledRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := transport.NewGate(nil)
		s := startPipeServer(t, gate)
		_, conn, _ := s.knock(t)
		if err := gate.Withdraw(cancelled()); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		if _, _, status := s.knock(t); status != 503 {
			t.Errorf("a latecomer got %d", status)
		}
		conn.Close(transport.CodeNormal, "") // and those who are in stay in
	})
}

// The server's own limits, on the fake clock: TestA33ASlowHandshakeIsCut has them over
// a socket.
func TestASlowHeaderIsCutAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipeServer(t, transport.NewGate(nil))
		socket := s.socket(t)
		began := time.Now()
		go func() {
			for i := 0; nap(t, time.Second); i++ {
				if _, err := io.WriteString(socket, knocking[i:i+1]); err != nil {
					return
				}
			}
		}()
		io.Copy(io.Discard, socket)
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("cut after %v", took)
		}
	})
}

func TestASlowNotifyLosesEventsAndCountsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn, got := make(chan struct{}), make(chan transport.ConnEvent)
		gate := transport.NewGate(&transport.GateOptions{Notify: func(e transport.ConnEvent) { <-goOn; got <- e }})
		if err := gate.Withdraw(cancelled()); err == nil {
			t.Fatal("not cancelled")
		}
		const clients = 1000
		for range clients {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			transport.Accept(w, r, &transport.AcceptOptions{Gate: gate})
		}
		close(goOn)
		seen, missed := 0, 0
		for seen+missed < clients {
			e := <-got
			seen++
			missed += e.Missed
		}
		if seen > 300 || metric(t, gate, "hopseal_connection_events_missed_total", "") != float64(missed) ||
			metric(t, gate, "hopseal_connections_refused_total", "draining") != clients {
			t.Errorf("%d events, %d missed", seen, missed)
		}
	})
}
