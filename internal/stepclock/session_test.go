//go:build !js

package stepclock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/stepclock"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

func TestSetIdle(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.IdleTimeout = 10 * time.Minute
		return p.begin().until(set, 5*time.Minute)
	})
}

// A message of the application's after the step counts as one.
func TestSetIdleBeginsAnew(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.IdleTimeout = 10 * time.Minute
		p.begin()
		set()
		p.talk()
		return p.until(func() {}, 0)
	})
}

func TestSetAge(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.MaxAge = 3 * time.Hour
		return p.begin().until(set, time.Hour)
	})
}

func TestSetPark(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.ParkTimeout = 10 * time.Minute
		p.begin()
		p.cut(true)
		return p.until(set, 5*time.Minute)
	})
}

// What a wall clock says when the grant is made is measured from there on.
func TestSetGrant(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
			return e2e.Grant{Expires: stepclock.Now().Round(0).Add(10 * time.Minute)}, nil
		}
		return p.begin().until(set, 5*time.Minute)
	})
}

// Other credentials are shown in time.
func TestSetRenewal(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		asked := make(chan struct{}, 10)
		p.client.Credentials = func(context.Context) ([]byte, error) { asked <- struct{}{}; return []byte("x"), nil }
		p.server.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
			return e2e.Grant{Expires: stepclock.Now().Round(0).Add(10 * time.Minute)}, nil
		}
		p.begin()
		start := time.Now()
		<-asked
		time.Sleep(time.Minute)
		set()
		<-asked
		return time.Since(start)
	})
}

// A link on which nothing comes is given up, and the next one is tried.
func TestSetKeepAlive(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		lost := make(chan struct{}, 10)
		p.client.KeepAlive = 4 * time.Minute
		p.client.Notify = func(e e2e.Event) {
			if e.State == e2e.StateReconnecting {
				lost <- struct{}{}
			}
		}
		silent := false
		p.lossy = func(frame []byte) [][]byte {
			if silent {
				return nil
			}
			return [][]byte{frame}
		}
		p.begin()
		time.Sleep(time.Second)
		silent = true
		start := time.Now()
		time.Sleep(3 * time.Minute)
		set()
		<-lost
		took := time.Since(start)
		p.cut(true)
		return took
	})
}

// Keys heal when they are due.
func TestSetRekey(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.begin()
		start := time.Now()
		time.Sleep(engine.DefaultRekeyAfter / 2)
		set()
		for p.session.Stats().Rekeys == 0 {
			if time.Since(start) > 10*time.Hour {
				t.Fatal("no rekey")
			}
			p.talk()
			time.Sleep(time.Minute)
		}
		return time.Since(start)
	})
}

// A handshake with somebody who says nothing ends.
func TestSetHandshake(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.client.HandshakeTimeout = 10 * time.Minute
		start := time.Now()
		time.AfterFunc(5*time.Minute, set)
		a, b := transport.Pipe()
		defer b.Cut()
		if _, err := e2e.Connect(t.Context(), a, "server", p.client); err == nil {
			t.Error("a session with nobody")
		}
		return time.Since(start)
	})
}

// A Send that nobody takes ends.
func TestSetSend(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.client.SendTimeout = 10 * time.Minute
		p.client.Store, p.client.StoreName = &broken{Store: sessionstore.Memory()}, "client"
		p.client.StoreKeys = sharedKeys(t)
		p.begin()
		p.client.Store.(*broken).breaks()
		start := time.Now()
		time.AfterFunc(5*time.Minute, set)
		if err := p.session.Send(t.Context(), []byte("lost")); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("Send: %v", err)
		}
		return time.Since(start)
	})
}

func sharedKeys(t *testing.T) *keys.SharedKeyset {
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A broken store saves nothing from some time on.
type broken struct {
	sessionstore.Store
	mu   sync.Mutex
	down bool
}

func (b *broken) breaks() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = true
}

func (b *broken) Save(ctx context.Context, r sessionstore.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return errors.New("the disk is full")
	}
	return b.Store.Save(ctx, r)
}
