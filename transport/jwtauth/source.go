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
)

const (
	maxSet       = 256 << 10        // bytes of a JWK Set
	fetchTimeout = 10 * time.Second // for the whole answer
	pause        = 30 * time.Second // between two fetches, whoever asks for them
	maxAge       = 24 * time.Hour   // of keys that cannot be fetched again
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
	err     error         // what became of it
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
// key without it. It waits for one at most, since another must not follow so soon.
func (s *source) find(ctx context.Context, id string) (key, error) {
	k, pending, err := s.look(id)
	if pending == nil {
		return k, err
	}
	select {
	case <-pending:
	case <-ctx.Done():
		return key{}, fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
	}
	k, _, err = s.look(id)
	return k, err
}

// look returns what is known now: a key, or an error and perhaps a fetch that may
// help. It starts fetches that are due.
func (s *source) look(id string) (k key, pending <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	fresh := s.url == "" || s.set != nil && now.Sub(s.fetched) < s.refresh
	usable := s.url == "" || s.set != nil && now.Sub(s.fetched) < maxAge
	k, known := s.set.find(id)
	if s.url != "" && s.pending == nil && (!fresh || !known) && (s.tried.IsZero() || now.Sub(s.tried) >= pause) {
		s.tried, s.pending = now, make(chan struct{})
		go s.fetch(s.pending)
	}
	switch {
	case known && usable:
		return k, nil, nil
	case !usable || s.err != nil:
		return key{}, s.pending, s.unavailable()
	}
	return key{}, s.pending, invalid("it names a key that its issuer does not publish")
}

// unavailable is for a question that keys would have to answer.
func (s *source) unavailable() error {
	if s.err == nil {
		return errUnavailable
	}
	return fmt.Errorf("%w: %w", errUnavailable, s.err)
}

// fetch is nobody's in particular: a client that hangs up must not end it for the
// others.
func (s *source) fetch(done chan struct{}) {
	defer close(done)
	set, err := s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, s.err = nil, err
	if err == nil {
		s.set, s.fetched = set, time.Now()
	}
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
