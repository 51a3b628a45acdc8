//go:build !js

package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/servertls"
)

const (
	// cacheTime is how long a call of the cache may take.
	cacheTime = 10 * time.Second

	// maxCalls is how many calls of the cache may be under way, those among them for which
	// nobody waits any more. Those of strangers are apart, see maxLookups.
	maxCalls = 64

	// A write that failed is tried again after flushFirst, then after twice as long,
	// and so on up to flushLast.
	flushFirst = 5 * time.Second
	flushLast  = 5 * time.Minute

	// shown bounds foreign text in errors, in characters.
	shown = 500
)

// A store is the cache, with a memory for what it has not taken.
type store struct {
	cache autocert.Cache
	tell  func(servertls.Event)

	calls    chan struct{} // has an element for each call of the cache that has not returned
	flushing chan struct{} // whoever flushes has put something into it

	mu       sync.Mutex // guards what follows
	unsaved  map[string][]byte
	failures int
	retry    time.Time // of the next write of what is unsaved
}

func newStore(cache autocert.Cache, tell func(servertls.Event)) *store {
	return &store{cache: cache, tell: tell, calls: make(chan struct{}, maxCalls), flushing: make(chan struct{}, 1), unsaved: make(map[string][]byte)}
}

// errUnsaved is the reason of an order that was not made.
var errUnsaved = errors.New("nothing is ordered as long as the cache cannot be written, since each order counts towards the authority's limits")

func within(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%s does not answer: %v have passed", what, d))
}

// get returns nil if there is nothing under the name.
func (s *store) get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := within(ctx, cacheTime, "it")
	defer cancel()
	return notRead(s.call(ctx, func(ctx context.Context) ([]byte, error) { return s.cache.Get(ctx, name) }))
}

// read is get for whoever waits no longer than he likes, and counts those calls himself.
func (s *store) read(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := within(ctx, cacheTime, "it")
	defer cancel()
	return notRead(s.cache.Get(ctx, name))
}

// call waits for a call of the cache for as long as ctx lasts. Its place is free again when
// it has returned in truth.
func (s *store) call(ctx context.Context, f func(context.Context) ([]byte, error)) ([]byte, error) {
	select {
	case s.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return aside(ctx, func(ctx context.Context) ([]byte, error) {
		defer func() { <-s.calls }()
		return f(ctx)
	})
}

func notRead(data []byte, err error) ([]byte, error) {
	switch {
	case errors.Is(err, autocert.ErrCacheMiss):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the cache cannot be read: %s", safetext.Line(err.Error(), shown))
	}
	return data, nil
}

// put tells of a write that failed.
func (s *store) put(ctx context.Context, name string, data []byte) error {
	ctx, cancel := within(ctx, cacheTime, "it")
	defer cancel()
	_, err := s.call(ctx, func(ctx context.Context) ([]byte, error) { return nil, s.cache.Put(ctx, name, data) })
	return s.note(name, err)
}

// remove tells of a removal that failed.
func (s *store) remove(ctx context.Context, name string) {
	ctx, cancel := within(ctx, cacheTime, "it")
	defer cancel()
	_, err := s.call(ctx, func(ctx context.Context) ([]byte, error) { return nil, s.cache.Delete(ctx, name) })
	s.note(name, err)
}

func (s *store) note(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err // Close says nothing about the cache
	}
	err = fmt.Errorf("the cache cannot be written: %s", safetext.Line(err.Error(), shown))
	s.mu.Lock()
	retry := time.Duration(0)
	if len(s.unsaved) > 0 {
		retry = time.Until(s.retry)
	}
	s.mu.Unlock()
	s.tell(servertls.Event{Kind: servertls.Unsaved, Name: name, Err: err, Retry: retry})
	return err
}

// save writes a certificate, or keeps it until a write works.
func (s *store) save(ctx context.Context, name string, data []byte) {
	s.mu.Lock()
	s.unsaved[name] = data
	s.mu.Unlock()
	s.flush(ctx)
}

// flush writes what is unsaved. An error says that there still is something.
func (s *store) flush(ctx context.Context) error {
	select {
	case s.flushing <- struct{}{}:
		defer func() { <-s.flushing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		name, data := s.next()
		if name == "" {
			return nil
		}
		if err := s.put(ctx, name, data); err != nil {
			return err
		}
		s.wrote(name, data)
	}
}

// next returns something unsaved. It counts as a failure until wrote says otherwise.
func (s *store) next() (name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.unsaved)) {
		s.retry = time.Now().Add(doubled(flushFirst, flushLast, s.failures))
		s.failures++
		return name, s.unsaved[name]
	}
	return "", nil
}

// wrote takes note that the cache has data, which may have been replaced meanwhile.
func (s *store) wrote(name string, data []byte) {
	s.mu.Lock()
	if bytes.Equal(s.unsaved[name], data) {
		delete(s.unsaved, name)
	}
	healed := len(s.unsaved) == 0 && s.failures > 1
	s.failures--
	if len(s.unsaved) == 0 {
		s.failures = 0
	}
	s.mu.Unlock()
	if healed {
		s.tell(servertls.Event{Kind: servertls.Saved, Name: name})
	}
}

// keeps returns what is unsaved under the name.
func (s *store) keeps(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsaved[name]
}

// due returns when flush is to be called, or the zero time.
func (s *store) due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsaved) == 0 {
		return time.Time{}
	}
	return s.retry
}

// doubled returns first after no failure, then twice as long after each, up to last.
func doubled(first, last time.Duration, failures int) time.Duration {
	for ; failures > 0 && first < last; failures-- {
		first *= 2
	}
	return min(first, last)
}
