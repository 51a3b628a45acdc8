package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// nonzero returns the counts of a map that are not zero.
func nonzero(counts map[string]uint64) string {
	some := map[string]uint64{}
	for name, n := range counts {
		if n > 0 {
			some[name] = n
		}
	}
	return fmt.Sprint(some)
}

// count returns how many times there are.
func count(h e2e.Histogram) (n uint64) {
	for _, one := range h.Counts {
		n += one
	}
	return n
}

// A session's figures count each message once, whatever the network does; a server's
// are the sums, and lose nothing when sessions end.
func TestStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), echo)
		r := &road{srv: srv}
		talk := func() *e2e.Session {
			c := r.client(t, trusting(alice, bob))
			for _, message := range []string{"one", "second", ""} {
				mustSend(t, c, message)
				mustReceive(t, c, message)
			}
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.cut()
			mustSend(t, c, "again")
			mustReceive(t, c, "again")
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			return c
		}
		a := talk()
		time.Sleep(time.Second) // the last ack to the server is on its way
		got := a.Stats()
		if got.MessagesSent != 4 || got.MessagesReceived != 4 || got.BytesSent < 14 || got.BytesReceived < 14 ||
			got.Unacked != 0 || got.Resumes != 1 || nonzero(got.Refused) != "map[]" {
			t.Errorf("client: %+v", got)
		}
		if count(got.RoundTrip) == 0 {
			t.Error("nobody measured a round trip")
		}
		one := srv.Stats()
		if one.MessagesSent != 4 || one.MessagesReceived != 4 || one.BytesReceived != got.BytesSent || one.BytesSent != got.BytesReceived ||
			one.Unacked != 0 || one.Resumes != 1 {
			t.Errorf("server: %+v", one.Stats)
		}
		if one.Sessions != 1 || one.Parked != 0 || one.Handshakes != 0 ||
			nonzero(one.Greeted) != "map[established:1 resumed:1]" || nonzero(one.Ended) != "map[]" {
			t.Errorf("server: %+v", one)
		}
		a.Close()
		synctest.Wait()
		two := srv.Stats()
		if fmt.Sprint(two.Stats) != fmt.Sprint(one.Stats) {
			t.Errorf("after the end %+v, before %+v", two.Stats, one.Stats)
		}
		if two.Sessions != 0 || nonzero(two.Ended) != "map[peer_closed:1]" {
			t.Errorf("after the end: %+v", two)
		}
		b := talk()
		if three := srv.Stats(); three.MessagesSent != 8 || three.Resumes != 2 || three.Sessions != 1 {
			t.Errorf("with a second session: %+v", three)
		}
		b.Close()
	})
}

// What waits for a client that has lost its connection is told, and what is lost with
// it.
func TestStatsOfAParkedSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := hosting(bob, alice)
		cfg.ParkTimeout = time.Minute
		srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			for range 3 {
				if err := s.Send(ctx, []byte("hello")); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return ctx.Err()
		})
		r := &road{srv: srv}
		c := r.client(t, trusting(alice, bob))
		synctest.Wait()
		r.set(func(r *road) { r.closed = true })
		r.cut()
		time.Sleep(time.Second) // an end that does not receive looks now and then
		if got := srv.Stats(); got.Sessions != 1 || got.Parked != 1 || got.Unacked != 3 {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Minute)
		if got := srv.Stats(); got.Sessions != 0 || got.Parked != 0 || got.Unacked != 0 || got.MessagesSent != 3 ||
			nonzero(got.Ended) != "map[expired:1]" {
			t.Errorf("%+v", got)
		}
		c.Close()
	})
}

// What is sent again is counted as that.
func TestStatsCountWhatIsSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lose := numbered(3, func([]byte) [][]byte { return nil }) // the first message
		r := &road{srv: newServer(t, hosting(bob, alice), echo), faults: []transport.PipeOption{transport.WithFaults(lose, nil)}}
		c := r.client(t, trusting(alice, bob))
		r.set(func(r *road) { r.faults = nil })
		for range 10 {
			mustSend(t, c, "hello")
		}
		r.cut()
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.Stats(); got.MessagesSent != 10 || got.Resent == 0 || got.Resent > 10*got.Resumes {
			t.Errorf("%+v", got)
		}
		c.Close()
	})
}

// Each record that a hop has changed is counted, by what was found.
func TestRefusedRecordsAreCounted(t *testing.T) {
	const first = 3 // behind m1 and m3
	for want, change := range map[string]func([]byte) []byte{
		"authentication": func(frame []byte) []byte { frame[len(frame)-1] ^= 1; return frame },
		"record_type":    func(frame []byte) []byte { frame[0] |= 0x1f; return frame },
		"size":           func(frame []byte) []byte { return frame[:10] },
	} {
		bubble(t, func(t *testing.T) {
			srv := newServer(t, hosting(bob, alice), echo)
			fault := numbered(first, func(frame []byte) [][]byte { return [][]byte{change(bytes.Clone(frame))} })
			r := &road{srv: srv, faults: []transport.PipeOption{transport.WithFaults(fault, nil)}}
			c := r.client(t, trusting(alice, bob))
			r.set(func(r *road) { r.faults = nil })
			mustSend(t, c, "hello")
			mustReceive(t, c, "hello")
			if got := nonzero(srv.Stats().Refused); got != "map["+want+":1]" {
				t.Errorf("%s: %s", want, got)
			}
			c.Close()
		})
	}
}

// Whatever becomes of a connection is counted once, under the name that is documented.
func TestServerCountsWhomItGreets(t *testing.T) {
	type try struct {
		server func(*e2e.ServerConfig)
		client func(t *testing.T, srv *e2e.Server, conn transport.Conn)
	}
	connect := func(who *keys.Identity) func(*testing.T, *e2e.Server, transport.Conn) {
		return func(t *testing.T, _ *e2e.Server, conn transport.Conn) {
			if c, err := e2e.Connect(t.Context(), conn, "pipe", trusting(who, bob)); err == nil {
				c.Close()
			}
		}
	}
	write := func(frame []byte) func(*testing.T, *e2e.Server, transport.Conn) {
		return func(t *testing.T, _ *e2e.Server, conn transport.Conn) { conn.Write(t.Context(), frame) }
	}
	silent := func(*testing.T, *e2e.Server, transport.Conn) {}
	for want, by := range map[string]try{
		"established":     {client: connect(alice)},
		"untrusted":       {client: connect(mallory)},
		"not_authentic":   {client: write(make([]byte, 100))},
		"unknown_session": {client: write(garbage(r1Size))},
		"timeout":         {client: silent},
		"lost":            {client: func(_ *testing.T, _ *e2e.Server, conn transport.Conn) { conn.Close(transport.CodeNormal, "") }},
		"full": {
			server: func(cfg *e2e.ServerConfig) { cfg.MaxSessions = 1 },
			client: func(t *testing.T, srv *e2e.Server, conn transport.Conn) {
				r := &road{srv: srv}
				first := r.client(t, trusting(alice, bob))
				connect(alice)(t, srv, conn)
				first.Close()
			},
		},
		"evicted": {
			server: func(cfg *e2e.ServerConfig) { cfg.MaxHandshakes = 1 },
			client: func(t *testing.T, srv *e2e.Server, conn transport.Conn) {
				synctest.Wait()
				r := &road{srv: srv}
				r.client(t, trusting(alice, bob)).Close()
			},
		},
		"shutdown": {client: func(t *testing.T, srv *e2e.Server, conn transport.Conn) {
			synctest.Wait()
			srv.Shutdown(t.Context())
		}},
		"panic": {
			server: func(cfg *e2e.ServerConfig) {
				cfg.Verifier = &asked{answer: func(context.Context) error { panic("oh") }}
			},
			client: connect(alice),
		},
		"failed": {
			server: func(cfg *e2e.ServerConfig) {
				cfg.Verifier = &asked{answer: func(context.Context) error { return errors.New("no database") }}
			},
			client: connect(alice),
		},
	} {
		bubble(t, func(t *testing.T) {
			cfg := hosting(bob, alice)
			if by.server != nil {
				by.server(&cfg)
			}
			srv := newServer(t, cfg, echo)
			a, b := transport.Pipe()
			serving := serve(srv, b)
			by.client(t, srv, a)
			time.Sleep(e2e.DefaultHandshakeTimeout + time.Second)
			a.Close(transport.CodeNormal, "")
			<-serving
			got := srv.Stats().Greeted
			if want == "full" || want == "evicted" {
				got["established"]-- // the other one
			}
			if nonzero(got) != "map["+want+":1]" {
				t.Errorf("%s: %s", want, nonzero(got))
			}
		})
	}
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), echo)
		ctx, cancel := context.WithCancel(t.Context())
		a, b := transport.Pipe()
		time.AfterFunc(time.Second, cancel)
		srv.ServeConn(ctx, b)
		srv.Shutdown(t.Context())
		_, b = transport.Pipe()
		srv.ServeConn(t.Context(), b)
		if got := nonzero(srv.Stats().Greeted); got != "map[abandoned:1 shutdown:1]" {
			t.Error(got)
		}
		a.Close(transport.CodeNormal, "")
	})
}

// Events say on which connection, and why there is none.
func TestEventsTellOfEachConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		note := func(e e2e.Event) {
			line := fmt.Sprintf("%v %s session %v", e.State, e.Transport.Kind, e.Session != nil)
			if e.Err != nil {
				line += " for an error"
			}
			told = append(told, line)
		}
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		cfg := trusting(alice, bob)
		cfg.Notify = note
		c := r.client(t, cfg)
		// The next attempt fails in its handshake, the one after it does not.
		spoil := numbered(1, func(frame []byte) [][]byte { return [][]byte{{1, 2, 3}} })
		r.set(func(r *road) { r.faults = []transport.PipeOption{transport.WithFaults(nil, spoil)} })
		r.cut()
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		c.Close()
		synctest.Wait()
		want := `[connecting  session false
handshaking pipe session false
secure pipe session true
reconnecting  session true for an error
handshaking pipe session true
reconnecting  session true for an error
handshaking pipe session true
secure pipe session true
closed  session true for an error]`
		if got := "[" + strings.Join(told, "\n") + "]"; got != want {
			t.Errorf("told\n%s", got)
		}
	})
}

// An attempt that comes to nothing is told too, however the session was to begin.
func TestEventsTellWhatFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		cfg := trusting(alice, mallory)
		cfg.Notify = func(e e2e.Event) { told = append(told, fmt.Sprint(e.State, " ", e.Err)) }
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		if _, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial); err == nil {
			t.Fatal("a session with somebody else")
		}
		synctest.Wait()
		conn, _ := r.dial(t.Context())
		if _, err := e2e.Connect(t.Context(), conn, "pipe", cfg); err == nil {
			t.Fatal("a session with somebody else")
		}
		synctest.Wait()
		if len(told) != 5 || told[0] != "connecting <nil>" || told[1] != "handshaking <nil>" || told[3] != "handshaking <nil>" || told[2] != told[4] {
			t.Errorf("%q", told)
		}
	})
}

// A slow Notify learns that it has missed something.
func TestEventsThatWereMissed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var missed, told int
		gate := make(chan struct{})
		cfg := trusting(alice, bob)
		cfg.Notify = func(e e2e.Event) {
			<-gate
			missed += e.Missed
			told++
		}
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := r.client(t, cfg)
		for range 10 { // three events each
			r.cut()
			mustSend(t, c, "hello")
			mustReceive(t, c, "hello")
		}
		c.Close()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		if all := 3 + 3*10 + 1; missed == 0 || missed+told != all {
			t.Errorf("%d told and %d missed, of %d", told, missed, all)
		}
	})
}

// The two ends of a session have one name for it, which is no part of its id.
func TestInfoNamesTheSession(t *testing.T) {
	c, s := over(t)
	other, _ := over(t)
	if id := c.Info().ID; len(id) != 16 || id != s.Info().ID || id == other.Info().ID {
		t.Errorf("names %q and %q, of another session %q", id, s.Info().ID, other.Info().ID)
	}
}

func TestHistogramBounds(t *testing.T) {
	bounds := e2e.Histogram{}.Bounds()
	if len(bounds)+1 != len(e2e.Histogram{}.Counts) || bounds[0] != time.Millisecond || bounds[len(bounds)-1] != 5*time.Second {
		t.Errorf("%v", bounds)
	}
	bounds[0] = 0
	if engine.Bounds[0] == 0 {
		t.Error("a caller can change the bounds")
	}
}

// The reasons for which records are refused are documented, all of them.
func TestRefusedReasonsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("stats.go")
	if err != nil {
		t.Fatal(err)
	}
	_, comment, _ := strings.Cut(string(source), "Refused counts")
	comment, _, _ = strings.Cut(comment, "Refused map")
	c, _ := over(t)
	refused := c.Stats().Refused
	for reason := range refused {
		if !strings.Contains(comment, `"`+reason+`"`) {
			t.Errorf("%q is not documented", reason)
		}
	}
	if n := strings.Count(comment, `"`) / 2; n != len(refused) {
		t.Errorf("%d reasons are documented, %d are there", n, len(refused))
	}
}

// A session that comes from a store is counted as that, from the time on that it does: a
// new process' counters begin at zero.
func TestStatsOfARestoredSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		r := &road{srv: newServer(t, stored(hosting(bob, alice), store), echo)}
		c := r.client(t, trusting(alice, bob))
		for _, message := range messages(5) {
			mustSend(t, c, message)
			mustReceive(t, c, message)
		}
		synctest.Wait() // the function asks for the next
		old := r.srv
		r.set(func(r *road) { r.closed = true })
		stop(t, old)
		mustSendLater(t, c, "after")
		next := newServer(t, stored(hosting(bob, alice), store), echo)
		r.set(func(r *road) { r.srv, r.closed = next, false })
		mustReceive(t, c, "after")
		got := next.Stats()
		if nonzero(got.Greeted) != "map[restored:1]" || got.Sessions != 1 || got.MessagesReceived != 1 || got.MessagesSent != 1 {
			t.Errorf("%+v", got)
		}
		if was := old.Stats(); was.MessagesReceived != 5 || was.Sessions != 0 {
			t.Errorf("before: %+v", was)
		}
		c.Close()
		synctest.Wait()
	})
}
