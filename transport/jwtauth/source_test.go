//go:build !js

package jwtauth

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// named verifies a token under a key with the given name. It is genuine if that key is published.
func named(t *testing.T, v *Verifier, kid string) error {
	t.Helper()
	_, err := v.Verify(t.Context(), sign(t, otherKey, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), claims(t, "")))
	return err
}

// later checks that the error decides nothing, and returns when to try again.
func later(t *testing.T, err error) time.Duration {
	t.Helper()
	var no *transport.UnavailableError
	if !errors.As(err, &no) || errors.Is(err, transport.ErrUnauthorized) || no.RetryAfter <= 0 || no.RetryAfter > pause {
		t.Fatalf("got %v, want that it cannot be decided now, and until when", err)
	}
	return no.RetryAfter
}

// Strangers invent names while the issuer changes to another key. Tokens under the new key are
// not refused while no fetch is allowed, and count after the next fetch.
func TestMadeUpNamesRefuseNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, published)}
		v := fetching(t, r)
		for n := range burst + 1 {
			if err := named(t, v, fmt.Sprint("made up ", n)); (n < burst) != errors.Is(err, transport.ErrUnauthorized) {
				t.Fatalf("name %d: %v", n, err)
			}
		}
		r.answer = answering(200, jwks(jwk("ec", "", ecKey.Public()), jwk("new", "", otherKey.Public())))
		time.Sleep(later(t, named(t, v, "new")) - time.Second)
		later(t, named(t, v, "new"))
		time.Sleep(time.Second)
		if err := named(t, v, "new"); err != nil {
			t.Errorf("when it is due: %v", err)
		}
		if err := named(t, v, "made up 0"); errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("a name that was not there half a minute ago: %v", err)
		}
	})
}

// A flood of names for an hour causes no more fetches than allowed, fills no memory, and keeps
// no client out for longer than a pause.
func TestFloodOfMadeUpNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, published)}
		v := fetching(t, r)
		start := time.Now()
		for n := 0; time.Since(start) < time.Hour; n++ {
			if err := named(t, v, fmt.Sprint(n)); err == nil {
				t.Fatal("a made-up name counts")
			}
			time.Sleep(2 * time.Second)
		}
		if got, most := r.asked.Load(), int32(time.Hour/pause+burst); got > most {
			t.Errorf("fetched %d times in an hour, want %d at most", got, most)
		}
		r.answer = answering(200, jwks(jwk("new", "", otherKey.Public())))
		began := time.Now()
		for n := 0; named(t, v, "new") != nil; n++ {
			named(t, v, fmt.Sprint("more ", n))
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > pause+time.Second {
			t.Errorf("a new key counts after %v", took)
		}
		for n := range 10 * mostAbsent {
			v.keys.absent.add(fmt.Sprint("x ", n), time.Now())
		}
		if got := len(v.keys.absent); got > mostAbsent {
			t.Errorf("%d names are remembered", got)
		}
	})
}

// If the issuer is down at the start, many tokens cause one burst of fetches and no more. Tokens
// count soon after the issuer is up.
func TestIssuerThatIsDownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(503, nil)}
		v := fetching(t, r)
		for range 100 {
			later(t, named(t, v, "new"))
		}
		if got := r.asked.Load(); got != burst {
			t.Errorf("fetched %d times, want %d", got, burst)
		}
		r.answer = answering(200, jwks(jwk("new", "", otherKey.Public())))
		time.Sleep(later(t, named(t, v, "new")))
		if err := named(t, v, "new"); err != nil {
			t.Errorf("when it is up: %v", err)
		}
	})
}

// A token under a withdrawn key is refused, even if a fetch for another name found out.
func TestWithdrawnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, jwks(jwk("ec", "", ecKey.Public()), jwk("new", "", otherKey.Public())))}
		v := fetching(t, r)
		if err := named(t, v, "new"); err != nil {
			t.Fatal(err)
		}
		r.answer = answering(200, published)
		named(t, v, "somebody's") // has the keys fetched
		if err := named(t, v, "new"); !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	})
}

// A stranger knows the name of the next key, and asks for it before the issuer publishes it. That
// must not make genuine tokens fail once the key is published.
func TestNameAskedForTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, published)}
		v := fetching(t, r)
		if err := named(t, v, "new"); !errors.Is(err, transport.ErrUnauthorized) {
			t.Fatal(err)
		}
		r.answer = answering(200, jwks(jwk("ec", "", ecKey.Public()), jwk("new", "", otherKey.Public())))
		if err := named(t, v, "new"); err != nil {
			t.Errorf("a genuine token: %v", err)
		}
	})
}
