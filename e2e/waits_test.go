//go:build !js

package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// What is outside of the process, or the application's, may take for ever. In these tests it does
// so once, for one session, and another session of the same server does what sessions do. If it
// waited for a lock that is held meanwhile, the clock of its bubble would stand still.

// A gate is where one call stops until it is released.
type gate struct {
	site     string // which calls it is for
	armed    atomic.Bool
	reached  chan struct{}
	released chan struct{}
}

// at is called by everything that could stop.
func (g *gate) at(site string) {
	if site == g.site && g.armed.CompareAndSwap(true, false) {
		close(g.reached)
		<-g.released
	}
}

// A city is a server with a session that is going to stop, and another.
type city struct {
	t       *testing.T
	gate    *gate
	config  e2e.ServerConfig
	client  e2e.Config
	srv     *e2e.Server
	first   *keys.Identity // of the session that stops
	a, b    *e2e.Session
	toA     *street
	toB     *street
	endedB  chan struct{} // closed when the server's function has returned for it
	release func()
}

// elsewhere has the session that stops go on at another server of the same store, and come
// back.
func (c *city) elsewhere() {
	c.gate.armed.Store(false)
	other := newServer(c.t, c.config, c.serve(keys.Fingerprint{}))
	c.toA.lead(other)
	c.toA.cut(false)
	talk(c.t, c.a)
	c.toA.lead(nil)
	c.gate.armed.Store(true)
	c.toA.cut(false)
}

// A street leads to a server, and may be closed.
type street struct {
	city *city
	mu   sync.Mutex
	shut bool
	to   *e2e.Server // nil: the city's
	last *transport.PipeConn
}

func (r *street) dial(context.Context) (transport.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return nil, errors.New("the street is closed")
	}
	a, b := transport.Pipe()
	r.last = a
	conn := &clogged{Conn: b, gate: r.city.gate, mine: r == r.city.toA, closed: make(chan struct{})}
	srv := r.city.srv
	if r.to != nil {
		srv = r.to
	}
	go srv.ServeConn(context.Background(), conn)
	return a, nil
}

// lead has the street lead to another server from here on.
func (r *street) lead(to *e2e.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// cut cuts the connection, and leaves a way back or none.
func (r *street) cut(shut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = shut
	r.last.Cut()
}

// A clogged connection takes no writes from some time on, until it is closed.
type clogged struct {
	transport.Conn
	gate   *gate
	mine   bool
	full   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *clogged) Write(ctx context.Context, frame []byte) error {
	if c.mine && c.gate.site == "connection" && c.gate.armed.CompareAndSwap(true, false) {
		close(c.gate.reached)
		c.full.Store(true)
	}
	if !c.full.Load() {
		return c.Conn.Write(ctx, frame)
	}
	select {
	case <-c.closed:
		return errors.New("closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *clogged) Close(code transport.Code, reason string) error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close(code, reason)
}

// What may stop: each calls the gate, and otherwise does what it has to.

type stoppingVerifier struct{ gate *gate }

func (v stoppingVerifier) Verify(context.Context, trust.Expected, *keys.PublicIdentity) error {
	v.gate.at("Verifier")
	return nil
}

type stoppingStore struct {
	sessionstore.Store
	gate *gate
}

func (s stoppingStore) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error) {
	s.gate.at("Find")
	return s.Store.Find(ctx, id)
}

func (s stoppingStore) Load(ctx context.Context, key [32]byte) (sessionstore.Record, error) {
	s.gate.at("Load")
	return s.Store.Load(ctx, key)
}

func (s stoppingStore) Save(ctx context.Context, r sessionstore.Record) error {
	s.gate.at("Save")
	return s.Store.Save(ctx, r)
}

func (s stoppingStore) SavePart(ctx context.Context, p sessionstore.Part) error {
	s.gate.at("SavePart")
	return s.Store.SavePart(ctx, p)
}

func (s stoppingStore) Delete(ctx context.Context, key [32]byte, version uint64) error {
	s.gate.at("Delete")
	return s.Store.Delete(ctx, key, version)
}

func (s stoppingStore) Sweep(ctx context.Context) error {
	s.gate.at("Sweep")
	return s.Store.Sweep(ctx)
}

type stoppingLog struct {
	slog.Handler
	gate *gate
}

func (l stoppingLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stoppingLog) Handle(context.Context, slog.Record) error {
	l.gate.at("Logger")
	return nil
}

// found makes a city. With a store messages are signed too.
func found(t *testing.T, site string, kept bool) *city {
	g := &gate{site: site, reached: make(chan struct{}), released: make(chan struct{})}
	c := &city{t: t, gate: g, first: newIdentity("first"), endedB: make(chan struct{}), release: sync.OnceFunc(func() { close(g.released) })}
	second, signer := newIdentity("second"), &faultySigner{Signer: bob.Signer()}
	signer.set(func(m []byte) ([]byte, error) {
		g.at("Signer")
		return signer.Signer.Sign(m)
	})
	self, err := keys.GenerateIdentityWith("server", newIdentity("root").Signer(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cfg := e2e.ServerConfig{Identity: self, Verifier: stoppingVerifier{g}, Protocol: "test/1", Options: e2e.Options{Logger: silent, IdleTimeout: 30 * time.Minute}}
	cfg.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
		g.at("Authenticate")
		return e2e.Grant{}, nil
	}
	cfg.Notify = func(e2e.Event) { g.at("Notify") }
	cfg.Refused = func(*e2e.Session, *e2e.RefusedError) { g.at("Refused") }
	cfg.Logger = slog.New(stoppingLog{slog.DiscardHandler, g})
	client := e2e.Config{Identity: c.first, Verifier: trust.Pinned(self.Fingerprint()), Protocol: "test/1", Options: e2e.Options{Logger: silent}, Retry: redial.Policy{Base: time.Millisecond, Cap: time.Second}}
	client.Credentials = func(context.Context) ([]byte, error) {
		g.at("Credentials")
		return nil, nil
	}
	if kept {
		cfg = stored(cfg, stoppingStore{sessionstore.Memory(), g})
		cfg.Proof, client.Proof = e2e.ProofEd25519, e2e.ProofEd25519
	}
	c.srv = newServer(t, cfg, c.serve(second.Fingerprint()))
	c.config, c.client = cfg, client
	c.toA, c.toB = &street{city: c}, &street{city: c}
	c.a = c.visit(c.toA, client)
	client.Identity, client.Credentials = second, nil
	c.b = c.visit(c.toB, client)
	t.Cleanup(c.release)
	return c
}

// serve is the server's function.
func (c *city) serve(second keys.Fingerprint) func(context.Context, *e2e.Session) error {
	router := mux.New()
	router.OnError = func(*e2e.Request, error) { c.gate.at("Mux.OnError") }
	router.Authorize = func(context.Context, e2e.Peer, e2e.Message) error {
		c.gate.at("Authorize")
		return nil
	}
	router.Handle("upper", upper)
	router.Handle("", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		return nil, r.Session.Send(ctx, r.Data)
	})
	router.Handle("odd", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		_, err := r.Session.SendMessage(ctx, "odd", nil)
		return nil, err
	})
	router.Handle("much", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		return nil, r.Session.Send(ctx, make([]byte, 500_000))
	})
	router.Handle("fails", func(context.Context, *e2e.Request) ([]byte, error) { return nil, errors.New("it fails") })
	router.Handle("stops", func(context.Context, *e2e.Request) ([]byte, error) {
		c.gate.at("function")
		return nil, nil
	})
	return func(ctx context.Context, s *e2e.Session) error {
		err := router.Serve(ctx, s)
		if s.Peer().Fingerprint() == second {
			close(c.endedB)
		}
		return err
	}
}

func (c *city) visit(r *street, cfg e2e.Config) *e2e.Session {
	s, err := e2e.DialFunc(c.t.Context(), "city", cfg, r.dial)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

// anew has somebody dial with the identity of the session that stops.
func (c *city) anew() {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	go func() {
		if s, err := e2e.DialFunc(ctx, "city", c.client, c.toA.dial); err == nil {
			s.Close()
		}
	}()
}

// say sends a message of a type in the session that stops.
func (c *city) say(typ string) {
	go c.a.SendMessage(context.Background(), typ, nil)
}

// stranger sends a first frame of nobody's.
func (c *city) stranger(size int) {
	conn, _ := (&street{city: c}).dial(context.Background())
	frame := make([]byte, size)
	rand.Read(frame)
	conn.Write(context.Background(), frame)
	c.t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
}

// A stop is how a session comes to a call that does not return.
type stopping struct {
	name, site string
	kept       bool // it needs a store
	run        func(*city)
}

var stops = []stopping{
	{"Signer in a handshake", "Signer", false, (*city).anew},
	{"Signer of a message", "Signer", true, func(c *city) { c.say("") }},
	{"Signer of a refusal", "Signer", false, func(c *city) { c.stranger(80) }},
	{"Find for a stranger", "Find", true, func(c *city) { c.stranger(80) }},
	{"Load", "Load", true, (*city).elsewhere},
	{"Save of a message", "Save", true, func(c *city) { c.say("") }},
	{"Save of a handshake", "Save", true, (*city).anew},
	{"Save of a resume", "Save", true, func(c *city) { c.toA.cut(false) }},
	{"SavePart of much that is under way", "SavePart", true, func(c *city) { c.say("much") }},
	{"Delete", "Delete", true, func(c *city) { go c.a.Close() }},
	{"Sweep", "Sweep", true, func(c *city) { time.Sleep(11 * time.Minute); c.anew() }},
	{"Verifier in a handshake", "Verifier", false, (*city).anew},
	{"Verifier in a resume", "Verifier", false, func(c *city) { c.toA.cut(false) }},
	{"Verifier about an update", "Verifier", false, func(c *city) { c.first.Renew(); c.say("") }},
	{"Verifier in Recheck", "Verifier", false, func(c *city) { go c.srv.Recheck(c.t.Context()) }},
	{"Authenticate in a handshake", "Authenticate", false, (*city).anew},
	{"Authenticate in a resume", "Authenticate", false, func(c *city) { c.toA.cut(false) }},
	{"Credentials in a resume", "Credentials", false, func(c *city) { c.toA.cut(false) }},
	{"Credentials in a handshake", "Credentials", false, (*city).anew},
	{"Notify", "Notify", false, func(c *city) { c.toA.cut(false) }},
	{"Logger about a session", "Logger", false, func(c *city) { c.toA.cut(false) }},
	{"Logger about a stranger", "Logger", false, func(c *city) { c.stranger(1000) }},
	{"Refused", "Refused", false, func(c *city) { c.say("odd"); c.receive() }},
	{"Authorize", "Authorize", false, func(c *city) { c.say("") }},
	{"Mux.OnError", "Mux.OnError", false, func(c *city) { c.say("fails") }},
	{"function", "function", false, func(c *city) { c.say("stops") }},
	{"function that is called", "function", false, func(c *city) { go c.a.Call(context.Background(), "stops", nil) }},
	{"connection that takes no writes", "connection", false, func(c *city) { c.say("") }},
	{"connection that takes no writes in a resume", "connection", false, func(c *city) { c.toA.cut(false) }},
}

// receive refuses what comes with a type.
func (c *city) receive() {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	go c.a.Receive(ctx)
}

// What the other session does meanwhile. None of it waits for more than a moment, but for what
// it says.
var meanwhile = map[string]func(*city){
	"handshake": func(c *city) {
		cfg := c.client
		cfg.Identity, cfg.Credentials = newIdentity("third"), nil
		talk(c.t, c.visit(&street{city: c}, cfg))
	},
	"messages": func(c *city) { talk(c.t, c.b) },
	"call":     func(c *city) { mustCall(c.t, c.b, "upper", "x", "X") },
	"park": func(c *city) {
		time.Sleep(time.Second) // the other one may be back by then
		before := c.srv.Stats().Parked
		c.toB.cut(true)
		time.Sleep(time.Second)
		if now := c.srv.Stats().Parked; now <= before {
			c.t.Errorf("%d sessions wait for their clients, and %d before", now, before)
		}
	},
	"resume": func(c *city) {
		c.toB.cut(false)
		talk(c.t, c.b)
	},
	"close": func(c *city) {
		if err := c.b.Close(); err != nil {
			c.t.Error(err)
		}
		<-c.endedB
	},
	"expire": func(c *city) {
		time.Sleep(30 * time.Minute)
		<-c.endedB
	},
	"Stats": func(c *city) { c.srv.Stats() },
	"Recheck": func(c *city) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		c.srv.Recheck(ctx)
		talk(c.t, c.b)
	},
	"Shutdown": func(c *city) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		c.srv.Shutdown(ctx)
		<-c.endedB
	},
}

func talk(t testing.TB, s *e2e.Session) {
	mustSend(t, s, "still here")
	mustReceive(t, s, "still here")
}

// A58: nothing outside of the process, and nothing of the application, is waited for under a lock
// that another session needs: whatever stops for ever in one session, others go on at once.
func TestA58OneSessionStopsAndAnotherGoesOn(t *testing.T) {
	round := 0
	for _, s := range stops {
		for _, kept := range []bool{false, true} {
			if s.kept && !kept {
				continue
			}
			for _, lost := range []bool{false, true} { // the line of the session that stops
				round++
				if lost && testing.Short() {
					continue
				}
				for i, name := range slices.Sorted(maps.Keys(meanwhile)) {
					if slowtest.Mode && i%4 != round%4 { // some each time; all of them without the detector
						continue
					}
					act := meanwhile[name]
					name := map[bool]string{true: "with a store/"}[kept] + s.name + map[bool]string{true: " and a lost line"}[lost] + "/" + name
					t.Run(name, func(t *testing.T) { stopsAndGoesOn(t, s, kept, lost, act) })
				}
			}
		}
	}
}

func stopsAndGoesOn(t *testing.T, s stopping, kept, lost bool, act func(*city)) {
	// On a real clock: that of a bubble stands while a goroutine waits for a mutex.
	stuck := time.AfterFunc(30*time.Second, func() {
		stacks := make([]byte, 1<<20)
		panic("a session waits for another under a lock:\n" + string(stacks[:runtime.Stack(stacks, true)]))
	})
	defer stuck.Stop()
	bubble(t, func(t *testing.T) {
		c := found(t, s.site, kept)
		talk(t, c.a)
		talk(t, c.b)
		time.Sleep(time.Second) // acknowledgements are on their way, and stored
		c.gate.armed.Store(true)
		s.run(c)
		select {
		case <-c.gate.reached:
		case <-time.After(20 * time.Second):
			t.Fatal("it does not come to that")
		}
		if lost {
			c.toA.cut(false)
			time.Sleep(time.Second)
		}
		const moment = 4 * time.Second
		start, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			act(c)
		}()
		select {
		case <-done:
		case <-time.After(30*time.Minute + moment):
			t.Error("the other session does not get on")
			c.release()
			<-done
			return
		}
		if took := time.Since(start); took > moment && took < 30*time.Minute {
			t.Errorf("the other session got on after %v", took)
		}
		c.release()
		if err := c.srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown, once nothing stops: %v", err)
		}
		if left := c.srv.Stats().Sessions; left != 0 {
			t.Errorf("%d sessions are left behind Shutdown", left)
		}
	})
}
