//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A foreigner is what is called and is not ours. From some time on each call of one kind takes for
// ever, whatever its context says, or panics, or ends its goroutine.
type foreigner struct {
	site, how string
	armed     atomic.Bool
	released  chan struct{}
	once      sync.Once
}

func (f *foreigner) release() { f.once.Do(func() { close(f.released) }) }

func (f *foreigner) at(site string) error {
	if !f.armed.Load() || site != f.site && (f.site != "any of the store" || site[0] != '-') {
		return nil
	}
	switch f.how {
	case "panics":
		panic("it is broken")
	case "ends its goroutine":
		runtime.Goexit()
	case "is slow":
		time.Sleep(50 * time.Millisecond)
		return nil
	case "hangs":
		<-f.released
	}
	return errors.New("too late")
}

func (f *foreigner) Verify(context.Context, trust.Expected, *keys.PublicIdentity) error {
	return f.at("Verifier")
}

type foreignStore struct {
	sessionstore.Store
	*foreigner
}

func (s foreignStore) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error) {
	if err := s.at("-Find"); err != nil {
		return key, nil, err
	}
	return s.Store.Find(ctx, id)
}

func (s foreignStore) Load(ctx context.Context, key [32]byte) (r sessionstore.Record, err error) {
	if err := s.at("-Load"); err != nil {
		return r, err
	}
	return s.Store.Load(ctx, key)
}

func (s foreignStore) LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error) {
	if err := s.at("-LoadPart"); err != nil {
		return nil, err
	}
	return s.Store.LoadPart(ctx, key, id)
}

func (s foreignStore) Save(ctx context.Context, r sessionstore.Record) error {
	if err := s.at("-Save"); err != nil {
		return err
	}
	return s.Store.Save(ctx, r)
}

func (s foreignStore) SavePart(ctx context.Context, p sessionstore.Part) error {
	if err := s.at("-SavePart"); err != nil {
		return err
	}
	return s.Store.SavePart(ctx, p)
}

func (s foreignStore) Delete(ctx context.Context, key [32]byte, version uint64) error {
	if err := s.at("-Delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key, version)
}

func (s foreignStore) Sweep(ctx context.Context) error {
	if err := s.at("-Sweep"); err != nil {
		return err
	}
	return s.Store.Sweep(ctx)
}

// Promises of time in the tests, beside the default ones.
const (
	sendPromise      = 5 * time.Second
	handshakePromise = 7 * time.Second
	closePromise     = 5*time.Second + 4*time.Second // "a few seconds more" with a store
	patience         = 3 * time.Second               // of a context
)

// An abroad is a session of a client and a server who both need foreigners.
type abroad struct {
	t      *testing.T
	f      *foreigner
	client e2e.Config
	server e2e.ServerConfig
	road   *road
	s      *e2e.Session
	left   chan *e2e.Session // dialled, and to be closed in the end
}

func newAbroad(t *testing.T, site, how string, kept bool) *abroad {
	f := &foreigner{site: site, how: how, released: make(chan struct{})}
	a := &abroad{t: t, f: f}
	signer := &faultySigner{Signer: bob.Signer()}
	signer.set(func(m []byte) ([]byte, error) {
		if err := f.at("Signer"); err != nil {
			return nil, err
		}
		return signer.Signer.Sign(m)
	})
	self, err := keys.GenerateIdentityWith("server", newIdentity("root").Signer(), signer)
	if err != nil {
		t.Fatal(err)
	}
	a.server = e2e.ServerConfig{Identity: self, Verifier: f, Protocol: "test/1", Options: e2e.Options{SendTimeout: sendPromise, HandshakeTimeout: handshakePromise}}
	a.server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) { return e2e.Grant{}, f.at("Authenticate") }
	a.client = e2e.Config{Identity: newIdentity("client"), Verifier: f, Protocol: "test/1", Options: a.server.Options, Retry: redial.Policy{Base: time.Millisecond, Cap: time.Second}}
	a.client.Credentials = func(context.Context) ([]byte, error) { return nil, f.at("Credentials") }
	if kept {
		a.server = stored(a.server, foreignStore{sessionstore.Memory(), f})
		a.client = stored(a.client, foreignStore{sessionstore.Memory(), f})
		a.client.StoreName = "client"
	}
	a.road = &road{srv: newServer(t, a.server, echo)}
	a.left = make(chan *e2e.Session, 1)
	t.Cleanup(func() {
		select {
		case s := <-a.left:
			s.Close()
		default:
		}
	})
	t.Cleanup(f.release)
	return a
}

func (a *abroad) begin() {
	a.s = a.road.client(a.t, a.client)
	talk(a.t, a.s)
	time.Sleep(time.Second)
}

// calls are the public ones, with how long they may take where what they need does not work. Each
// gets a context that ends after its patience, where it takes one whose end is its promise.
var calls = []struct {
	name    string
	promise time.Duration
	run     func(a *abroad, patient context.Context)
}{
	{"Send", sendPromise, func(a *abroad, _ context.Context) { a.s.Send(context.Background(), []byte("x")) }},
	{"Send with a context", sendPromise, func(a *abroad, ctx context.Context) { a.s.Send(ctx, []byte("x")) }},
	{"Send of much", sendPromise, func(a *abroad, _ context.Context) { a.s.Send(context.Background(), make([]byte, 500_000)) }},
	{"SendMessage", sendPromise, func(a *abroad, _ context.Context) { a.s.SendMessage(context.Background(), "odd", nil) }},
	{"Call", patience, func(a *abroad, ctx context.Context) { a.s.Call(ctx, "odd", nil) }},
	{"Receive", patience, func(a *abroad, ctx context.Context) { a.s.Receive(ctx) }},
	{"ReceiveStream", patience, func(a *abroad, ctx context.Context) { a.s.ReceiveStream(ctx) }},
	{"OpenStream", patience, func(a *abroad, ctx context.Context) { a.s.OpenStream(ctx, "odd", nil) }},
	{"Flush", patience, func(a *abroad, ctx context.Context) { go a.s.Send(ctx, nil); a.s.Flush(ctx) }},
	{"Recheck", patience, func(a *abroad, ctx context.Context) { a.s.Recheck(ctx) }},
	{"Recheck of a server", patience, func(a *abroad, ctx context.Context) { a.road.srv.Recheck(ctx) }},
	{"Close", closePromise, func(a *abroad, _ context.Context) { a.s.Close() }},
	{"Close behind a Send", closePromise, func(a *abroad, ctx context.Context) {
		go a.s.Send(ctx, []byte("x"))
		time.Sleep(time.Second)
		a.s.Close()
	}},
	{"Stats, Peer and Info", 0, func(a *abroad, _ context.Context) { a.s.Stats(); a.s.Peer(); a.s.Info(); a.road.srv.Stats() }},
	{"Shutdown", patience, func(a *abroad, ctx context.Context) { a.road.srv.Shutdown(ctx) }},
	{"Dial", handshakePromise, func(a *abroad, _ context.Context) {
		cfg := a.client
		cfg.StoreName = "another"
		dialAndLeave(context.Background(), a, cfg)
	}},
	{"Dial of a stored session", patience, func(a *abroad, ctx context.Context) { dialAndLeave(ctx, a, a.client) }},
	{"ServeConn", handshakePromise, func(a *abroad, ctx context.Context) {
		x, y := transport.Pipe()
		go func() {
			if s, err := e2e.Connect(ctx, x, "road", trusting(alice, a.server.Identity)); err == nil {
				s.Close()
			}
		}()
		a.road.srv.ServeConn(context.Background(), y)
	}},
	{"being away", 0, func(a *abroad, _ context.Context) { a.road.cut(); time.Sleep(time.Second / 2) }},
}

// dialAndLeave leaves what it has dialled to the end of the test.
func dialAndLeave(ctx context.Context, a *abroad, cfg e2e.Config) {
	if s, err := e2e.DialFunc(ctx, "road", cfg, a.road.dial); err == nil {
		a.left <- s
	}
}

// A58: whatever becomes of a call of what is not ours, each of ours is back within what its doc
// says.
func TestA58ForeignCodeHoldsNobodyUp(t *testing.T) {
	sites := []string{"Verifier", "Authenticate", "Credentials", "Signer", "-Find", "-Load", "-LoadPart", "-Save", "-SavePart", "-Delete", "-Sweep", "any of the store"}
	for _, site := range sites {
		for _, how := range []string{"hangs", "panics", "ends its goroutine", "is slow"} {
			if testing.Short() && how != "hangs" && site[0] == '-' {
				continue
			}
			t.Run(site+" "+how, func(t *testing.T) {
				for i, c := range calls {
					if slowtest.Mode && i%4 != len(site+how)%4 { // each call at some sites; all of them without the detector
						continue
					}
					for _, kept := range []bool{true, false} {
						if !kept && (site[0] == '-' || site == "any of the store" || c.name == "Dial of a stored session") {
							continue
						}
						t.Run(c.name+map[bool]string{true: " with a store"}[kept], func(t *testing.T) {
							bubble(t, func(t *testing.T) {
								a := newAbroad(t, site, how, kept)
								a.begin()
								a.f.armed.Store(true)
								ctx, cancel := context.WithTimeout(context.Background(), patience)
								defer cancel()
								done, start := make(chan struct{}), time.Now()
								go func() { defer close(done); c.run(a, ctx) }()
								select {
								case <-done:
								case <-time.After(c.promise + 2*time.Second):
									t.Errorf("it has not returned for %v, and has promised %v", time.Since(start), c.promise)
									cancel()
									a.f.release()
									<-done
								}
							})
						})
					}
				}
			})
		}
	}
}

// A06: whoever does not answer has not said yes.
func TestA06NoAnswerIsNotYes(t *testing.T) {
	for _, site := range []string{"Verifier", "Authenticate"} {
		for _, how := range []string{"hangs", "panics", "ends its goroutine"} {
			t.Run(site+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a := newAbroad(t, site, how, false)
					a.f.armed.Store(true)
					s, err := e2e.DialFunc(t.Context(), "road", a.client, a.road.dial)
					if err == nil {
						s.Close()
						t.Error("there is a session that nobody has allowed")
					}
				})
			})
		}
	}
}
