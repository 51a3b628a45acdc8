//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"sync"

	xacme "golang.org/x/crypto/acme"
)

// The checks of RFC 8555, section 8.3, and of RFC 8737 that this package answers.
const (
	http01    = "http-01"
	tlsALPN01 = "tls-alpn-01"
)

// Strangers can ask for answers too. So at most maxLookups requests read the cache at a
// time, and maxQueue requests are served or wait.
const maxLookups, maxQueue = 16, 256

// answers holds the answers to the authority's checks. Other nodes find them in the cache.
type answers struct {
	ctx            context.Context // the manager's
	store          *store
	queue, lookups chan struct{} // semaphores: requests in all, and requests that read the cache

	mu         sync.RWMutex // guards what follows
	tls        map[string]*tls.Certificate
	http       map[string]string // by token
	servesHTTP bool              // HTTPHandler was called
	lastPassed string            // the kind of check that passed last
}

func newAnswers(ctx context.Context, s *store) *answers {
	return &answers{ctx: ctx, store: s, queue: make(chan struct{}, maxQueue), lookups: make(chan struct{}, maxLookups), tls: make(map[string]*tls.Certificate), http: make(map[string]string)}
}

// kinds returns the kinds of checks to try, in order: first the one that passed last, else
// http-01 if HTTPHandler was called.
func (a *answers) kinds(only string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	switch {
	case only != "":
		return []string{only}
	case !a.servesHTTP:
		return []string{tlsALPN01}
	case a.lastPassed == tlsALPN01:
		return []string{tlsALPN01, http01}
	}
	return []string{http01, tlsALPN01}
}

func (a *answers) setLastPassed(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastPassed = kind
}

// The cache has answers under the names that autocert gives them.
func tlsName(host string) string   { return host + "+token" }
func httpName(token string) string { return token + "+http-01" }

// prepare makes the answer to a check available at every node, until the caller calls
// clean.
func (a *answers) prepare(ctx context.Context, client *xacme.Client, host string, c *xacme.Challenge) (clean func(context.Context), err error) {
	if c.Type == http01 {
		answer, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			return nil, err
		}
		a.set(func() { a.http[c.Token] = answer })
		clean = func(ctx context.Context) {
			a.set(func() { delete(a.http, c.Token) })
			a.store.remove(ctx, httpName(c.Token))
		}
		return clean, a.publish(ctx, httpName(c.Token), []byte(answer), clean)
	}
	cert, err := client.TLSALPN01ChallengeCert(c.Token, host)
	if err != nil {
		return nil, err
	}
	text, err := encodeCert(&cert)
	if err != nil {
		return nil, err
	}
	a.set(func() { a.tls[host] = &cert })
	clean = func(ctx context.Context) { a.set(func() { delete(a.tls, host) }); a.store.remove(ctx, tlsName(host)) }
	return clean, a.publish(ctx, tlsName(host), text, clean)
}

func (a *answers) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *answers) publish(ctx context.Context, name string, data []byte, clean func(context.Context)) error {
	err := a.store.put(ctx, name, data)
	if err != nil {
		clean(ctx)
	}
	return err
}

// lookUp reads from the cache what another node has published. A request that gives up
// keeps its turn until its read returns, so strangers cannot start more reads by leaving.
func (a *answers) lookUp(ctx context.Context, name string) ([]byte, error) {
	select {
	case a.queue <- struct{}{}:
		defer func() { <-a.queue }()
	default:
		return nil, errCrowded
	}
	select {
	case a.lookups <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return runDetached(ctx, func(context.Context) ([]byte, error) {
		defer func() { <-a.lookups }()
		return a.store.read(a.ctx, name)
	})
}

// tlsAnswer returns the certificate that the authority expects for host (RFC 8737).
func (a *answers) tlsAnswer(ctx context.Context, host string, allowed func(context.Context, string) error) (*tls.Certificate, error) {
	a.mu.RLock()
	cert := a.tls[host]
	a.mu.RUnlock()
	if cert != nil {
		return cert, nil
	}
	if err := allowed(ctx, host); err != nil {
		return nil, err
	}
	text, err := a.lookUp(ctx, tlsName(host))
	if err == nil && text == nil {
		err = fmt.Errorf("no order is under way")
	}
	if err != nil {
		return nil, fmt.Errorf("acme: %s has nothing to show to an authority: %w", host, err)
	}
	return decodeCert(text)
}

const httpFolder = "/.well-known/acme-challenge/"

// tokenForm matches tokens, which are base64url (RFC 8555, section 8.3).
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// httpAnswer serves the answer to an http-01 check. It ignores the Host header, which a
// front may rewrite: only the authority knows the token, and the answer is not secret.
func (a *answers) httpAnswer(w http.ResponseWriter, r *http.Request) {
	token := path.Base(r.URL.Path)
	if !tokenForm.MatchString(token) || httpFolder+token != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	a.mu.RLock()
	answer := a.http[token]
	a.mu.RUnlock()
	if answer == "" {
		text, err := a.lookUp(r.Context(), httpName(token))
		if err != nil {
			http.Error(w, "The cache cannot be read.", http.StatusServiceUnavailable)
			return
		}
		answer = string(text)
	}
	if answer == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write([]byte(answer))
}
