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
	// cacheTime bounds one call of the cache.
	cacheTime = 10 * time.Second

	// maxCalls bounds the calls of the cache under way, including those that nobody waits
	// for any more. Look-ups for strangers count separately, see maxLookups.
	maxCalls = 64

	// A failed write is tried again after flushFirst, then after twice as long each time,
	// up to flushLast.
	flushFirst = 5 * time.Second
	flushLast  = 5 * time.Minute

	// maxErrorText bounds foreign text in errors, in characters.
	maxErrorText = 500
)

// A store is the cache, and remembers what the cache has not taken.
type store struct {
	cache autocert.Cache
	emit  func(servertls.Event)

	calls    chan struct{} // a semaphore for calls of the cache that have not returned
	flushing chan struct{} // a lock that a context can interrupt: it holds an element during a flush

	mu       sync.Mutex // guards what follows
	unsaved  map[string][]byte
	failures int
	retry    time.Time // when to write the unsaved entries next
}

func newStore(cache autocert.Cache, emit func(servertls.Event)) *store {
	return &store{cache: cache, emit: emit, calls: make(chan struct{}, maxCalls), flushing: make(chan struct{}, 1), unsaved: make(map[string][]byte)}
}

// errUnsaved is the reason why nothing was ordered.
var errUnsaved = errors.New("nothing is ordered as long as the cache cannot be written, since each order counts towards the authority's limits")

func withTimeout(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%s does not answer: %v have passed", what, d))
}

// get returns nil if the cache has nothing under the name.
func (s *store) get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := withTimeout(ctx, cacheTime, "it")
	defer cancel()
	return readResult(s.call(ctx, func(ctx context.Context) ([]byte, error) { return s.cache.Get(ctx, name) }))
}

// read is get for a caller that bounds its own calls and its own wait.
func (s *store) read(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := withTimeout(ctx, cacheTime, "it")
	defer cancel()
	return readResult(s.cache.Get(ctx, name))
}

// call calls the cache and waits as long as ctx lasts. The call occupies one of maxCalls
// until it really returns.
func (s *store) call(ctx context.Context, f func(context.Context) ([]byte, error)) ([]byte, error) {
	select {
	case s.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return runDetached(ctx, func(ctx context.Context) ([]byte, error) {
		defer func() { <-s.calls }()
		return f(ctx)
	})
}

func readResult(data []byte, err error) ([]byte, error) {
	switch {
	case errors.Is(err, autocert.ErrCacheMiss):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the cache cannot be read: %s", safetext.Line(err.Error(), maxErrorText))
	}
	return data, nil
}

// put writes an entry. It reports a failure as an event, too.
func (s *store) put(ctx context.Context, name string, data []byte) error {
	ctx, cancel := withTimeout(ctx, cacheTime, "it")
	defer cancel()
	_, err := s.call(ctx, func(ctx context.Context) ([]byte, error) { return nil, s.cache.Put(ctx, name, data) })
	return s.writeResult(name, err)
}

// remove deletes an entry. It reports a failure as an event.
func (s *store) remove(ctx context.Context, name string) {
	ctx, cancel := withTimeout(ctx, cacheTime, "it")
	defer cancel()
	_, err := s.call(ctx, func(ctx context.Context) ([]byte, error) { return nil, s.cache.Delete(ctx, name) })
	s.writeResult(name, err)
}

func (s *store) writeResult(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err // Close interrupted it, which says nothing about the cache
	}
	err = fmt.Errorf("the cache cannot be written: %s", safetext.Line(err.Error(), maxErrorText))
	s.mu.Lock()
	retry := time.Duration(0)
	if len(s.unsaved) > 0 {
		retry = time.Until(s.retry)
	}
	s.mu.Unlock()
	s.emit(servertls.Event{Kind: servertls.Unsaved, Name: name, Err: err, Retry: retry})
	return err
}

// save writes a certificate. If that fails, save keeps it until a later flush succeeds.
func (s *store) save(ctx context.Context, name string, data []byte) {
	s.mu.Lock()
	s.unsaved[name] = data
	s.mu.Unlock()
	s.flush(ctx)
}

// flush writes the unsaved entries. It returns an error if any remain.
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

// next returns an unsaved entry. It counts as a failure until the caller calls wrote.
func (s *store) next() (name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.unsaved)) {
		s.retry = time.Now().Add(backoff(flushFirst, flushLast, s.failures))
		s.failures++
		return name, s.unsaved[name]
	}
	return "", nil
}

// wrote notes that the cache has data. Somebody may have saved newer data under the name
// meanwhile, which stays unsaved.
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
		s.emit(servertls.Event{Kind: servertls.Saved, Name: name})
	}
}

// pending returns the unsaved data under the name, or nil.
func (s *store) pending(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsaved[name]
}

// due returns when to call flush, or the zero time.
func (s *store) due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsaved) == 0 {
		return time.Time{}
	}
	return s.retry
}

// backoff returns first if there were no failures, and doubles it for each failure, up to
// last.
func backoff(first, last time.Duration, failures int) time.Duration {
	for ; failures > 0 && first < last; failures-- {
		first *= 2
	}
	return min(first, last)
}
