//go:build !js

package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport/servertls"
)

// Clients that come, and leave, while the authority is silent: one order, no handshake
// above ten seconds, and known names are served as ever.
func TestASilentAuthority(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("known", n.visit(name) == 1)
		w.fault(silence)
		asked := w.requests.Load()
		for range 300 {
			c := n.connect()
			go func() {
				tls.Client(c, &tls.Config{ServerName: "other.example.com", InsecureSkipVerify: true}).HandshakeContext(w.Context())
				c.Close()
			}()
		}
		synctest.Wait()
		w.expect("as many wait as may", n.open.Load() == maxWaiting, n.open.Load())
		start := time.Now()
		w.expect("known", n.visit(name) == 1 && time.Since(start) == 0)
		time.Sleep(handshakeTime)
		synctest.Wait()
		w.expect("all have gone", n.open.Load() == 0, n.open.Load())
		w.expect("one order", w.requests.Load()-asked == 1, w.requests.Load()-asked)
		time.Sleep(requestTime)
		why := n.causeOf("other.example.com")
		w.expect("the cause", strings.Contains(why, "/new-order"), why)
	})
}

// An authority that wants to be left alone is, and handshakes say so at once.
func TestAnAuthorityThatWantsRest(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.fault(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/new-order") {
				return problem(429, "rateLimited", "too many certificates already issued", "Retry-After", "3600")
			}
			return nil
		})
		for range 3 {
			start := time.Now()
			why := n.causeOf(name)
			w.expect("the cause", strings.Contains(why, "too many certificates already issued") && strings.Contains(why, "the next try is in 1h0m0s"), why)
			w.expect("soon", time.Since(start) < time.Second, time.Since(start))
		}
		failed := n.told(servertls.IssueFailed)
		w.expect("told once", len(failed) == 1 && failed[0].Retry == time.Hour && failed[0].Name == name, failed)
		w.fault(nil)
		time.Sleep(59 * time.Minute)
		w.expect("not yet", n.visit(name) == 0 && len(w.asked()) == 0)
		time.Sleep(2 * time.Minute)
		w.expect("then", n.visit(name) == 1)
	})
}

// The cause of a failed check is said to everybody who comes, and tries are far apart.
func TestAFailedCheckIsNoRiddle(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.fault(func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/challenge/") {
				return problem(400, "connection", "203.0.113.7: no route to host")
			}
			return nil
		})
		for range 4 {
			why := n.causeOf(name)
			w.expect("the cause", strings.Contains(why, "203.0.113.7: no route to host") && strings.Contains(why, "its check of the name: tls-alpn-01"), why)
			time.Sleep(10 * time.Second)
		}
		w.expect("one order", len(w.asked()) == 1, w.asked())
		for range 600 {
			n.causeOf(name)
			time.Sleep(12 * time.Second)
		}
		w.expect("few orders in two hours", len(w.asked()) > 5 && len(w.asked()) < 9, len(w.asked()))
	})
}

// A renewal that fails is told from the first day, with what is still shown.
func TestARenewalThatFails(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("first", n.visit(name) == 1)
		w.fault(func(*http.Request) *http.Response { return problem(503, "serverInternal", "maintenance") })
		time.Sleep(61 * day)
		failed := n.told(servertls.IssueFailed)
		w.expect("told", len(failed) > 1 && failed[0].Certificate != nil && failed[0].Certificate.Left > 28*day &&
			strings.Contains(failed[0].Err.Error(), "maintenance") && failed[0].Retry > 0, failed)
		w.expect("still shown", n.visit(name) == 1)
		time.Sleep(29*day + 12*time.Hour)
		why := n.causeOf(name)
		w.expect("the cause at the end", strings.Contains(why, "maintenance"), why)
		w.fault(nil)
		time.Sleep(2 * time.Hour)
		w.expect("renewed by itself", n.visit(name) == 2)
	})
}

// Whoever renews without a visitor causes no alarm.
func TestARenewalWithoutVisitors(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("first", n.visit(name) == 1)
		key := n.Certificates()[0].Leaf.RawSubjectPublicKeyInfo
		time.Sleep(300 * day)
		synctest.Wait()
		w.expect("the key that clients may have pinned", bytes.Equal(key, n.Certificates()[0].Leaf.RawSubjectPublicKeyInfo))
		w.expect("no alarm", len(n.told(servertls.Expiring)) == 0)
		e := n.certs.Expiries()
		w.expect("the gauge", len(e) == 1 && e[0].Left > 29*day && e[0].KeyType == "ECDSA", e)
		w.expect("renewals", len(w.asked()) == 6 && len(n.told(servertls.Issued)) == 6, w.asked())
	})
}

func TestWarm(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.fault(func(*http.Request) *http.Response { return problem(503, "serverInternal", "maintenance") })
		err := n.Warm(w.Context(), name, "wrong.example.com")
		w.expect("tells", w.node(Options{HostPolicy: func(context.Context, string) error { return nil }}).Warm(w.Context()) != nil)
		w.expect("the causes", err != nil && strings.Contains(err.Error(), "maintenance") && errors.Is(err, servertls.ErrUnknownName), err)
		w.fault(nil)
		time.Sleep(time.Minute)
		w.expect("tried again by itself", len(w.asked()) == 1, w.asked())
		if err := n.Warm(w.Context()); err != nil {
			t.Error(err)
		}
		e := n.certs.Expiries()
		w.expect("all there, with the keys that clients want", len(e) == 3 && e[0].KeyType == "ECDSA" && e[2].KeyType == "ECDSA", e)
		start := time.Now()
		w.expect("nobody waits", n.visit(name) > 0 && n.visit("other.example.com") > 0 && time.Since(start) == 0)
		w.expect("no more orders", len(w.asked()) == 3, w.asked())
	})
}

// Who knows no ECDSA gets RSA, after the order that is under way for the name.
func TestKindsOfKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		legacy := func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}
		modern := func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }
		serials := make(chan int64, 3)
		for _, change := range []func(*tls.Config){legacy, modern, legacy} {
			go func() { serials <- n.visit(name, change) }()
		}
		a, b, c := <-serials, <-serials, <-serials
		w.expect("all are served", a+b+c == 4 || a+b+c == 5, a, b, c)
		e := n.certs.Expiries()
		w.expect("two kinds", len(e) == 2 && e[0].KeyType == "ECDSA" && e[1].KeyType == "RSA", e)
	})
}

// An authority that has lost its accounts gets the account again.
func TestAForgottenAccount(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		w.expect("first", n.visit(name) == 1)
		known := false
		w.fault(func(r *http.Request) *http.Response {
			switch {
			case strings.HasSuffix(r.URL.Path, "/account"):
				known = true
			case strings.HasSuffix(r.URL.Path, "/new-order") && !known:
				return problem(400, "accountDoesNotExist", "unable to find account")
			}
			return nil
		})
		w.expect("registered again", n.visit("other.example.com") == 2)
	})
}

// A name that HostPolicy does not know is wrong; one that it cannot judge is not.
func TestAHostPolicyThatFails(t *testing.T) {
	inWorld(t, func(w *world) {
		hang := make(chan struct{})
		n := w.node(Options{HostPolicy: func(_ context.Context, host string) error {
			switch host {
			case "wrong.example.com":
				return fmt.Errorf("no tenant: %w", servertls.ErrUnknownName)
			case "slow.example.com":
				<-hang
			}
			return errors.New("the database is away")
		}})
		said := func(name string) string {
			raw := n.connect()
			defer raw.Close()
			err := tls.Client(raw, &tls.Config{ServerName: name}).Handshake()
			return err.Error()
		}
		w.expect("wrong", strings.Contains(said("wrong.example.com"), "unrecognized name"))
		w.expect("not judged", strings.Contains(said(name), "internal error"))
		start := time.Now()
		w.expect("slow", strings.Contains(said("slow.example.com"), "internal error") && time.Since(start) == handshakeTime, time.Since(start))
		close(hang)
		w.expect("no order", w.requests.Load() == 0)
	})
}

// A name that is not served any more is not renewed.
func TestANameThatIsGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		var gone atomic.Bool
		n := w.node(Options{HostPolicy: func(context.Context, string) error {
			if gone.Load() {
				return servertls.ErrUnknownName
			}
			return nil
		}})
		w.expect("first", n.visit(name) == 1)
		gone.Store(true)
		time.Sleep(200 * day)
		synctest.Wait()
		w.expect("no order, no alarm", len(w.asked()) == 1 && len(n.certs.Expiries()) == 0 && len(n.told(servertls.IssueFailed)) == 0, w.asked())
	})
}

// A clock in the future makes one order for a name, not one after the other, and what it
// gets is shown: the clients' clocks may be right.
func TestAClockInTheFuture(t *testing.T) {
	inWorld(t, func(w *world) {
		w.expect("first", w.node(Options{}).visit(name) == 1)
		now := time.Now()
		time.Sleep(400 * day) // the authority stays behind
		w.authority.mu.Lock()
		w.lag = time.Since(now)
		w.authority.mu.Unlock()
		n := w.node(Options{})
		for range 100 {
			n.causeOf(name)
			time.Sleep(time.Hour)
		}
		w.expect("one order", n.causeOf(name) == "" && len(w.asked()) < 8, w.asked())
	})
}
