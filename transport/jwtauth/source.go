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

	// pause is the time between two fetches in the long run, whoever asks for them, and burst
	// is how many there may be at once for the sake of names that are not known.
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
	full    time.Time     // when there may be a burst of fetches again
	absent  absent        // names that the issuer is known not to publish
	err     error         // what became of the last fetch
	pending chan struct{} // closed at the end of the fetch that is under way, nil if none is
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

// find returns the key of that name, waiting for a fetch only where there is no
// key without it, and for one at most. Whether the issuer publishes a name is known from a
// fetch that was begun for its sake. Until then the answer is that it is not known.
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

// look returns what is known now: a key, or an error and perhaps a fetch that may
// help. It starts fetches that are due, unless whoever asks has waited for one.
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
	case may && s.pending != nil: // also for a name that was not there: somebody may have guessed it too early
		return key{}, s.pending, s.unavailable(max(wait, time.Second), s.err)
	case s.url == "" || absent:
		return key{}, nil, invalid("it names a key that its issuer does not publish")
	}
	return key{}, nil, s.unavailable(max(wait, time.Second), s.err)
}

// stale reports whether keys that are good should be fetched again. It is called under mu.
func (s *source) stale(now time.Time) bool {
	return s.url != "" && s.pending == nil && now.Sub(s.fetched) >= s.refresh && now.Sub(s.tried) >= pause
}

// debt returns how long it is until another fetch may begin. It is called under mu.
func (s *source) debt(now time.Time) time.Duration {
	return s.full.Add(-(burst - 1) * pause).Sub(now)
}

// begin fetches for the sake of a name. It is called under mu.
func (s *source) begin(now time.Time, id string) {
	if s.full.Before(now) {
		s.full = now
	}
	s.full = s.full.Add(pause)
	s.tried, s.pending = now, make(chan struct{})
	go s.fetch(s.pending, id)
}

// unavailable is for a question that keys would have to answer. It says when to ask again.
func (s *source) unavailable(after time.Duration, why error) error {
	err := errUnavailable
	if why != nil {
		err = fmt.Errorf("%w: %w", errUnavailable, why)
	}
	return &transport.UnavailableError{RetryAfter: after, Err: err}
}

// fetch is nobody's in particular: a client that hangs up must not end it for the
// others.
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

// why leaves out the address, whose query may hold a secret.
func why(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return errors.New(safetext.Line(err.Error(), 200))
}
