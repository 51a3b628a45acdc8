//go:build !js

package stepclock_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/transport/servertls/acme"
)

// shelf is a cache in memory.
type shelf struct{ sync.Map }

func (s *shelf) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := s.Load(key); ok {
		return v.([]byte), nil
	}
	return nil, autocert.ErrCacheMiss
}

func (s *shelf) Put(_ context.Context, key string, data []byte) error { s.Store(key, data); return nil }
func (s *shelf) Delete(_ context.Context, key string) error           { s.Map.Delete(key); return nil }

// tired is an authority that wants to be left alone for four minutes.
type tired struct{ asked atomic.Int64 }

func (a *tired) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked.Add(1)
	return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"240"}}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// ordered returns when the authority has been asked so often.
func ordered(t *testing.T, cache *shelf, times int64, after time.Duration, set func()) time.Duration {
	authority := new(tired)
	manager, err := acme.New(acme.Options{Hosts: []string{"chat.example.com"}, Cache: cache, AcceptTerms: true,
		HTTPClient: &http.Client{Transport: authority}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	start := time.Now()
	time.AfterFunc(after, set)
	for authority.asked.Load() < times && time.Since(start) < time.Hour {
		manager.GetCertificate(&tls.ClientHelloInfo{ServerName: "chat.example.com"})
		time.Sleep(time.Second)
	}
	return time.Since(start)
}

// A pause that an authority has asked for lasts as long as it asked.
func TestSetOrder(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		return ordered(t, new(shelf), 2, 2*time.Minute, set)
	})
}

// The lease of a node that has died lasts as long as it does.
func TestSetLease(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		cache := new(shelf)
		cache.Put(t.Context(), "chat.example.com+lease", []byte(`{"owner":"dead","beat":1}`))
		return ordered(t, cache, 1, 7*time.Second, set)
	})
}
