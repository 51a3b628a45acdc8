//go:build !js

package jwtauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

const (
	maxSet       = 256 << 10        // bytes of a JWK Set
	fetchTimeout = 10 * time.Second // for the whole answer
	maxAge       = 24 * time.Hour   // of keys that cannot be fetched again

	// pause is the average time between two fetches in the long run, and burst is how many
	// fetches for unknown names may follow each other without a pause.
	pause = 30 * time.Second
	burst = 4
)

// A source keeps the keys of an issuer.
type source struct {
	url        string // "" if the keys never change
	client     *http.Client
	refresh    time.Duration
	algorithms []string

	mu      sync.Mutex // guards what follows
	set     set
	fetched time.Time     // when set came
	tried   time.Time     // when the last fetch began
	full    time.Time     // when a whole burst of fetches is allowed again
	absent  absent        // names that the issuer does not publish
	err     error         // the error of the last fetch, nil if it succeeded
	pending chan struct{} // closed at the end of the fetch under way; nil if there is none
}

func newSource(o Options) *source {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DisableKeepAlives: true}} // the next fetch is minutes away
	if o.Client != nil {
		client = &http.Client{Transport: o.Client.Transport}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &source{url: o.URL, client: client, refresh: o.Refresh, algorithms: o.Algorithms}
}

// find returns the key of that name. If it does not have the key, it waits for at most one
// fetch. It says that the issuer does not publish a name only after a fetch that began for
// that name; until then it returns an UnavailableError.
func (s *source) find(ctx context.Context, id string) (key, error) {
	k, pending, err := s.look(id, true)
	if pending == nil {
		return k, err
	}
	select {
	case <-pending:
	case <-ctx.Done():
		return key{}, s.unavailable(0, ctx.Err())
	}
	k, _, err = s.look(id, false)
	return k, err
}

// look returns what is known now: a key, or an error and perhaps a pending fetch that may
// find the key. If may is true, it begins a fetch that is due; it is false for a caller that
// has waited for one.
func (s *source) look(id string, may bool) (k key, pending <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	usable := s.url == "" || s.set != nil && now.Sub(s.fetched) < maxAge
	k, known := s.set.find(id)
	if known && usable {
		if may && s.stale(now) {
			s.begin(now, id)
		}
		return k, nil, nil
	}
	wait := s.debt(now)
	if may && s.url != "" && s.pending == nil && wait <= 0 {
		s.begin(now, id)
	}
	switch absent := usable && s.err == nil && s.absent.has(id, now); {
	case may && s.pending != nil: // even for an absent name: a stranger may have guessed it before it was published
		return key{}, s.pending, s.unavailable(max(wait, time.Second), s.err)
	case s.url == "" || absent:
		return key{}, nil, invalid("it names a key that its issuer does not publish")
	}
	return key{}, nil, s.unavailable(max(wait, time.Second), s.err)
}

// stale reports whether to fetch keys again that are still good. The caller holds mu.
func (s *source) stale(now time.Time) bool {
	return s.url != "" && s.pending == nil && now.Sub(s.fetched) >= s.refresh && now.Sub(s.tried) >= pause
}

// debt returns the time until another fetch may begin. The caller holds mu.
func (s *source) debt(now time.Time) time.Duration {
	return s.full.Add(-(burst - 1) * pause).Sub(now)
}

// begin begins a fetch for the sake of a name. The caller holds mu.
func (s *source) begin(now time.Time, id string) {
	if s.full.Before(now) {
		s.full = now
	}
	s.full = s.full.Add(pause)
	s.tried, s.pending = now, make(chan struct{})
	go s.fetch(s.pending, id)
}

// unavailable returns the error for a token that cannot be checked without a fetch. It says
// when to try again.
func (s *source) unavailable(after time.Duration, why error) error {
	err := errUnavailable
	if why != nil {
		err = fmt.Errorf("%w: %w", errUnavailable, why)
	}
	return &transport.UnavailableError{RetryAfter: after, Err: err}
}

// fetch gets the keys and keeps them. It has no caller's context: a client that hangs up
// must not end the fetch for others.
func (s *source) fetch(done chan struct{}, id string) {
	defer close(done)
	set, err := s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, s.err = nil, err
	if err != nil {
		return
	}
	now := time.Now()
	for before := range s.set {
		if _, still := set.find(before); !still {
			s.absent.add(before, now)
		}
	}
	if _, there := set.find(id); !there {
		s.absent.add(id, now)
	}
	s.set, s.fetched = set, now
}

func (s *source) get() (set, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("their address cannot be used")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, why(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, errors.New("their address redirects, which is refused: configure the final one")
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("their address answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	switch {
	case err != nil:
		return nil, why(err)
	case len(b) > maxSet:
		return nil, errors.New("what is at their address has more than 256 KiB")
	}
	set, err := parseSet(b, s.algorithms)
	if err != nil {
		return nil, fmt.Errorf("what is at their address is of no use: %w", err)
	}
	return set, nil
}

// why returns err without the address, whose query may hold a secret.
func why(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return errors.New(safetext.Line(err.Error(), 200))
}
