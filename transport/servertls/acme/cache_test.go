//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/transport/servertls"
)

var errFull = errors.New("no space left on device")

func full(_ context.Context, call, key string) error {
	if call == "put" {
		return errFull
	}
	return nil
}

// Each restart ordered anew and threw away what it got.
func TestNothingIsOrderedThatCannotBeKept(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cache.fault(full)
		for range 3 {
			n := w.node(Options{})
			w.expect("no certificate", n.visit(name) == 0)
			why := n.causeOf(name)
			w.expect("the cause", strings.Contains(why, "the cache cannot be written: no space left on device"), why)
			w.expect("told", len(n.told(servertls.Unsaved)) > 0 && len(n.told(servertls.IssueFailed)) == 1)
			n.close()
		}
		w.expect("no order", len(w.asked()) == 0, w.asked())
		w.cache.fault(nil)
		w.expect("ordered", w.node(Options{}).visit(name) == 1)
	})
}

// A certificate whose write fails is kept, told of, and written later; until then nothing
// else is ordered.
func TestACertificateThatCannotBeWritten(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cache.fault(func(ctx context.Context, call, key string) error {
			if key == name {
				return full(ctx, call, key)
			}
			return nil
		})
		n := w.node(Options{})
		w.expect("shown", n.visit(name) == 1)
		w.expect("shown again", n.visit(name) == 1)
		w.expect("told", len(n.told(servertls.Issued)) == 1 && len(n.told(servertls.Unsaved)) == 1)
		w.expect("nothing else", n.visit("other.example.com") == 0 && len(w.asked()) == 1, w.asked())
		why := n.causeOf("other.example.com")
		w.expect("the cause", strings.Contains(why, "nothing is ordered as long as the cache cannot be written"), why)
		time.Sleep(time.Hour)
		failed := len(n.told(servertls.Unsaved))
		w.expect("tried again and told each time", failed > 10 && failed < 30, failed)
		w.cache.fault(nil)
		time.Sleep(flushLast)
		synctest.Wait()
		w.expect("written", slices.Contains(w.cache.keys(), name) && len(n.told(servertls.Saved)) == 1, w.cache.keys())
		w.expect("ordering again", n.visit("other.example.com") == 2)
		w.expect("a restart", w.node(Options{}).visit(name) == 1)
	})
}

// A renewal that cannot be written is shown all the same, past the old one's end.
func TestARenewalThatCannotBeWritten(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("first", n.visit(name) == 1)
		w.cache.fault(func(ctx context.Context, call, key string) error {
			if key == name {
				return full(ctx, call, key)
			}
			return nil
		})
		time.Sleep(100 * day)
		w.expect("renewed", n.visit(name) == 2)
		w.expect("told", len(n.told(servertls.Unsaved)) > 0 && len(n.told(servertls.Expiring)) == 0)
		w.expect("one order", len(w.asked()) == 2, w.asked())
	})
}

// A cache that cannot be read may have everything, so nothing is ordered.
func TestACacheThatCannotBeRead(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cache.fault(func(_ context.Context, call, key string) error {
			if call == "get" {
				return errors.New("connection refused")
			}
			return nil
		})
		n := w.node(Options{})
		why := n.causeOf(name)
		w.expect("the cause", strings.Contains(why, "the cache cannot be read: connection refused"), why)
		w.cache.fault(nil)
		time.Sleep(2 * tryFirst)
		w.expect("soon after", n.visit(name) == 1 && len(w.asked()) == 1)
	})
}

// One slow look into the cache holds up nobody whose certificate is known, and its own
// clients for ten seconds.
func TestASlowLookIntoTheCache(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("known", n.visit(name) == 1)
		free := make(chan struct{})
		w.cache.fault(func(_ context.Context, _, key string) error {
			<-free // whatever the context says
			return nil
		})
		go n.visit("other.example.com")
		synctest.Wait()
		start := time.Now()
		w.expect("known", n.visit(name) == 1 && time.Since(start) == 0, time.Since(start))
		time.Sleep(handshakeTime + time.Second)
		synctest.Wait()
		w.expect("nobody waits any more", n.open.Load() == 0, n.open.Load())
		why := n.causeOf("other.example.com")
		w.expect("the cause", strings.Contains(why, "it does not answer: 10s have passed"), why)
		close(free)
	})
}

// Nor can strangers who say that they are authorities pile up while the cache is slow.
func TestStrangersWhoCheck(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.cache.fault(func(ctx context.Context, _, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for range maxQueue + 100 {
			go n.visit(name, func(c *tls.Config) { c.NextProtos = []string{alpn} })
		}
		synctest.Wait()
		w.expect("as many wait as may", n.open.Load() == maxQueue, n.open.Load())
		time.Sleep(handshakeTime)
		synctest.Wait()
		w.expect("all have gone", n.open.Load() == 0, n.open.Load())
		w.cache.fault(nil)
	})
}

// Nodes with an empty cache make one order between them, whichever the authority asks.
func TestNodesShareAnOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node(Options{}), w.node(Options{})
		serials := make(chan int64, 2)
		for _, n := range []*node{a, b} {
			go func() { serials <- n.visit(name) }()
		}
		w.expect("one is served", <-serials == 1)
		w.expect("so is the other", <-serials == 1)
		w.expect("one order", len(w.asked()) == 1, w.asked())
		time.Sleep(70 * day) // both renew
		synctest.Wait()
		w.expect("one renewal", a.visit(name) == 2 && b.visit(name) == 2 && len(w.asked()) == 2, w.asked())
		w.expect("nothing is left over", !slices.ContainsFunc(w.cache.keys(), func(key string) bool {
			return strings.Contains(key, "lease") || strings.Contains(key, "token")
		}), w.cache.keys())
	})
}

// A node that died in the middle of an order is not waited for for long, whatever the
// clocks show.
func TestALeaseOfTheDead(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cache.Put(w.Context(), leaseName(name), lease{Owner: "dead", Beat: 7}.encode())
		n := w.node(Options{})
		start := time.Now()
		w.expect("not at once", n.visit(name) == 0 && len(w.asked()) == 0)
		why := n.causeOf(name)
		w.expect("after a while", why == "" && time.Since(start) < leaseLife+handshakeTime, why, time.Since(start))
	})
}

// A node that lives is waited for, even for longer than a lease lasts without a sign.
func TestALeaseOfTheLiving(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node(Options{})
		go a.visit(name)
		w.fault(silence)
		time.Sleep(2 * time.Second)
		b := w.node(Options{})
		go b.visit(name)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.fault(nil)
		asked := w.requests.Load()
		time.Sleep(5 * time.Second)
		w.expect("b has asked nobody", w.requests.Load() == asked, asked)
	})
}

// A certificate that came into the cache while an order failed is taken.
func TestAfterAnErrorTheCacheIsAskedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.expect("elsewhere", w.node(Options{}).visit(name) == 1)
		mine := &cache{entries: make(map[string][]byte)}
		w.fault(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/new-order") {
				mine.copyFrom(w.cache, name)
				return problem(403, "unauthorized", "another node was asked")
			}
			return nil
		})
		w.expect("the other's", w.node(Options{Cache: mine}).visit(name) == 1)
	})
}

// So is one that comes while this node has to wait until it may order again.
func TestWhileItWaitsTheCacheIsAskedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		mine := &cache{entries: make(map[string][]byte)}
		n := w.node(Options{Cache: mine})
		w.fault(func(*http.Request) *http.Response {
			return problem(429, "rateLimited", "too many", "Retry-After", "3600")
		})
		w.expect("refused", n.visit(name) == 0)
		requests := w.requests.Load()
		for range 100 {
			time.Sleep(time.Second)
			why := n.causeOf(name)
			w.expect("the cause", strings.Contains(why, "too many") && strings.Contains(why, "the next try is in"), why)
		}
		mine.fault(func(_ context.Context, call, key string) error { return errors.New("away") })
		for range 100 {
			time.Sleep(time.Second)
			n.causeOf(name)
		}
		mine.fault(nil)
		for range 400 {
			time.Sleep(time.Second)
			n.causeOf(name)
		}
		w.expect("no request", w.requests.Load() == requests, w.requests.Load(), requests)
		w.fault(nil)
		w.expect("elsewhere", w.node(Options{}).visit(name) == 1)
		requests = w.requests.Load() - requests
		mine.copyFrom(w.cache, name)
		time.Sleep(tryFirst)
		w.expect("the other's", n.visit(name) == 1 && len(w.asked()) == 1 && requests < 15, requests)
		w.expect("told once", len(n.told(servertls.IssueFailed)) == 1)
	})
}

// A panic in code that is not ours takes no server down.
func TestForeignCodeThatPanics(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cache.fault(func(context.Context, string, string) error { panic("a bug") })
		n := w.node(Options{HostPolicy: func(_ context.Context, host string) error {
			if host != name {
				panic("another")
			}
			return nil
		}})
		a, b := n.causeOf(name), n.causeOf("other.example.com")
		w.expect("errors", strings.Contains(a, "it panicked: a bug") && strings.Contains(b, "it panicked: another"), a, b)
		w.cache.fault(nil)
	})
}

// A cache of autocert's is taken over, account and all, and the other way round.
func TestACacheOfAutocert(t *testing.T) {
	inWorld(t, func(w *world) {
		other := &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: w.cache, HostPolicy: autocert.HostWhitelist(name),
			Client: &xacme.Client{DirectoryURL: w.URL + "/directory", HTTPClient: &http.Client{Transport: w}}}
		ours := w.dial
		w.dial = func(context.Context) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				tls.Server(server, other.TLSConfig()).Handshake()
				server.Close()
			}()
			return client, nil
		}
		if _, err := other.GetCertificate(hello(name)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		account := w.thumbprint
		w.dial = ours
		n := w.node(Options{})
		w.expect("autocert's", n.visit(name) == 1 && len(w.asked()) == 1)
		w.expect("the account", n.visit("other.example.com") == 2 && w.thumbprint == account)
		other.HostPolicy = nil
		cert, err := other.GetCertificate(hello("other.example.com"))
		w.expect("ours", err == nil && cert.Leaf.SerialNumber.Int64() == 2, err)
	})
}

func hello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, CipherSuites: ecdsaSuites}
}

// What a crash leaves half-written is made anew.
func TestDamagedEntries(t *testing.T) {
	for what, damaged := range map[string][]byte{"empty": {}, "garbage": []byte("-----BEGIN")} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				for _, key := range []string{accountName, name, leaseName(name)} {
					w.cache.Put(w.Context(), key, damaged)
				}
				w.expect("ordered", w.node(Options{}).visit(name) == 1)
				w.expect("and kept", w.node(Options{}).visit(name) == 1 && len(w.asked()) == 1)
			})
		})
	}
}
