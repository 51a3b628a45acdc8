package envelope

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// A sharedCache is a ReplayCache over a store with a clock of its own, which is
// ahead by skew. It keeps to what ReplayCache asks, and no longer.
type sharedCache struct {
	mu    sync.Mutex
	kept  map[ReplayKey]time.Time
	skew  time.Duration
	fails error
	asked atomic.Int32
}

func (s *sharedCache) Claim(ctx context.Context, c ReplayClaim) (bool, error) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.skew)
	for k, until := range s.kept {
		if !now.Before(until) {
			delete(s.kept, k)
		}
	}
	_, claimed := s.kept[c.Key]
	switch {
	case s.fails != nil:
		return false, s.fails
	case claimed, !now.Before(c.Until):
		return false, nil
	case s.kept == nil:
		s.kept = make(map[ReplayKey]time.Time)
	}
	s.kept[c.Key] = c.Until
	return true, nil
}

type cacheFunc func(context.Context, ReplayClaim) (bool, error)

func (f cacheFunc) Claim(ctx context.Context, c ReplayClaim) (bool, error) { return f(ctx, c) }

func guarded(l link, cache ReplayCache, maxAge time.Duration) link {
	l.Replay, l.InsecureAllowReplay, l.MaxAge = cache, false, maxAge
	return l
}

// A message that has waited for an hour opens, once, with either kind of cache; one
// that has waited for longer than MaxAge does not, to the millisecond.
func TestMaxAge(t *testing.T) {
	caches := map[string]func() ReplayCache{
		"in memory": func() ReplayCache { return anyTime() },
		"shared":    func() ReplayCache { return new(sharedCache) },
	}
	for name, cache := range caches {
		for i := range 3 {
			synctest.Test(t, func(t *testing.T) {
				l := guarded(links(t)[i], cache(), 0)
				waited, edge := seal(t, &l.Sealer, "waited"), seal(t, &l.Sealer, "edge")
				time.Sleep(time.Hour)
				expectReason(t, &l.Opener, waited, ReasonTime, name+", by default")
				l = guarded(l, cache(), time.Hour)
				if _, _, err := l.Open(nil, edge); err != nil {
					t.Errorf("%s: exactly as old as MaxAge: %v", name, ReasonOf(err))
				}
				time.Sleep(time.Millisecond)
				expectReason(t, &l.Opener, edge, ReasonTime, name+", opened, and too old now")
				expectReason(t, &l.Opener, waited, ReasonTime, name+", a millisecond older than MaxAge")
				l.MaxAge = 24 * time.Hour
				if _, _, err := l.Open(nil, waited); err != nil {
					t.Errorf("%s: an hour old with a MaxAge of a day: %v", name, ReasonOf(err))
				}
				expectReason(t, &l.Opener, waited, ReasonReplay, name+", again")
			})
		}
	}
}

func TestMaxAgeWithoutACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := links(t)[2]
		sealed := seal(t, &l.Sealer, "m")
		l.MaxAge = time.Hour
		time.Sleep(time.Hour)
		for range 2 {
			if _, _, err := l.Open(nil, sealed); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Millisecond)
		expectReason(t, &l.Opener, sealed, ReasonTime, "older than MaxAge")
		l.MaxAge = 0
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Error("with no MaxAge:", err)
		}
	})
}

func TestAbsurdMaxAgeIsRefused(t *testing.T) {
	l := guarded(links(t)[2], anyTime(), 0)
	sealed := seal(t, &l.Sealer, "m")
	stream := sealStream(t, &l.Sealer, []byte("m"))
	for _, age := range []time.Duration{-1, -time.Hour, MaxAgeLimit + 1, 1<<63 - 1, -1 << 63} {
		l.MaxAge = age
		_, _, err := l.Open(nil, sealed)
		_, streamErr := l.NewReader(bytes.NewReader(stream))
		if err == nil || errors.Is(err, ErrOpen) || streamErr == nil || errors.Is(streamErr, ErrOpen) {
			t.Errorf("%v: %v, %v", age, err, streamErr)
		}
	}
	l.MaxAge = MaxAgeLimit
	if _, _, err := l.Open(nil, sealed); err != nil {
		t.Error(err)
	}
}

// What was accepted a moment before it became too old is refused for as long as any
// clock accepts it: consumers' clocks and the store's differ by up to ClockSkew.
func TestSharedCacheRemembersForAllClocks(t *testing.T) {
	const age = time.Hour
	for _, consumer := range []time.Duration{-keys.ClockSkew, 0, keys.ClockSkew} {
		for _, store := range []time.Duration{-keys.ClockSkew, 0, keys.ClockSkew} {
			if (store - consumer).Abs() > keys.ClockSkew {
				continue
			}
			cache := &sharedCache{skew: store - consumer} // time.Now is the slow consumer's
			synctest.Test(t, func(t *testing.T) {
				l := guarded(links(t)[2], cache, age)
				sealed := seal(t, &l.Sealer, "m")
				if _, _, err := l.Open(nil, sealed); err != nil {
					t.Fatal(err)
				}
				for range 30 {
					time.Sleep(3 * time.Minute)
					if _, _, err := l.Open(nil, sealed); err == nil {
						t.Fatalf("consumer's clock %v off, store's %v: opened twice", consumer, store)
					}
				}
			})
		}
	}
}

// Two consumers whose clocks are as far apart as may be: the store's clock is the
// fast one's, and the slow one accepts the message for the longest.
func TestSharedCacheAtTheLastMoment(t *testing.T) {
	const age = time.Hour
	synctest.Test(t, func(t *testing.T) {
		cache := &sharedCache{skew: keys.ClockSkew}
		l := guarded(links(t)[2], cache, age)
		sealed, other := seal(t, &l.Sealer, "m"), seal(t, &l.Sealer, "n")
		time.Sleep(age - time.Millisecond)
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Fatal("a millisecond before it is too old:", ReasonOf(err))
		}
		expectReason(t, &l.Opener, sealed, ReasonReplay, "at once")
		time.Sleep(time.Millisecond)
		expectReason(t, &l.Opener, sealed, ReasonReplay, "in the last moment in which it is accepted")
		if _, _, err := l.Open(nil, other); err != nil {
			t.Error("another one in the last moment:", ReasonOf(err))
		}
	})
	synctest.Test(t, func(t *testing.T) { // farther apart than may be: the store's clock rules
		cache := &sharedCache{skew: 2 * age}
		l := guarded(links(t)[2], cache, age)
		expectReason(t, &l.Opener, seal(t, &l.Sealer, "m"), ReasonReplay, "past its Until by the store's clock")
	})
}

func TestSharedCacheOneOfManyWins(t *testing.T) {
	cache := new(sharedCache)
	l := guarded(links(t)[2], cache, time.Hour)
	sealed := seal(t, &l.Sealer, "m")
	var opened, replayed atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			o := *l.Opener.WithContext(t.Context())
			switch _, _, err := o.Open(nil, sealed); {
			case err == nil:
				opened.Add(1)
			case ReasonOf(err) == ReasonReplay:
				replayed.Add(1)
			}
		})
	}
	if all.Wait(); opened.Load() != 1 || replayed.Load() != 49 {
		t.Errorf("%d opened, %d refused as replays", opened.Load(), replayed.Load())
	}
}

// A cache that does not answer refuses nothing: the message opens later.
func TestUnavailableIsNotReplayed(t *testing.T) {
	down := errors.New("connection refused")
	for _, l := range links(t) {
		cache := &sharedCache{fails: down}
		l = guarded(l, cache, time.Hour)
		sealed, stream := seal(t, &l.Sealer, "m"), sealStream(t, &l.Sealer, []byte("m"))
		data, _, err := l.Open(nil, sealed)
		_, streamErr := l.NewReader(bytes.NewReader(stream))
		_, atErr := l.NewReaderAt(bytes.NewReader(stream), int64(len(stream)))
		for _, err := range []error{err, streamErr, atErr} {
			if !errors.Is(err, ErrReplayUnavailable) || !errors.Is(err, down) || errors.Is(err, ErrOpen) || ReasonOf(err) != 0 || data != nil {
				t.Errorf("%s: %v", l.name, err)
			}
		}
		cache.fails = nil
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Error("once the store is back:", err)
		}
		if _, err := l.NewReader(bytes.NewReader(stream)); err != nil {
			t.Error("a stream once the store is back:", err)
		}
		expectReason(t, &l.Opener, sealed, ReasonReplay, "again")
	}
}

// A slow cache is waited for as long as the context lasts, and ten seconds without one.
func TestSlowCacheIsBoundedByTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := guarded(links(t)[2], cacheFunc(func(ctx context.Context, _ ReplayClaim) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}), 0)
		sealed := seal(t, &l.Sealer, "m")
		expect := func(o *Opener, cause error, want time.Duration) {
			t.Helper()
			since := time.Now()
			_, _, err := o.Open(nil, sealed)
			if took := time.Since(since); !errors.Is(err, ErrReplayUnavailable) || !errors.Is(err, cause) || took != want {
				t.Errorf("after %v: %v", took, err)
			}
		}
		expect(&l.Opener, context.DeadlineExceeded, replayTimeout)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		expect(l.WithContext(ctx), context.DeadlineExceeded, time.Second)
		expect(l.WithContext(ctx), context.DeadlineExceeded, 0)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Minute/10, cancel)
		expect(l.WithContext(ctx), context.Canceled, time.Minute/10)
	})
}

// A cache is asked about genuine messages only, once each, and not about old ones.
func TestCacheIsAskedOnlyAboutWhatOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range links(t) {
			cache := new(sharedCache)
			l = guarded(l, cache, 0)
			sealed := seal(t, &l.Sealer, "m")
			for i := range len(sealed) / 31 {
				forged := bytes.Clone(sealed)
				forged[len(sealed)-1-31*i] ^= 1
				if _, _, err := l.Open(nil, forged); err == nil {
					t.Fatal("opened a forgery")
				}
			}
			time.Sleep(replayWindow + time.Second)
			expectReason(t, &l.Opener, sealed, ReasonTime, "old")
			if n := cache.asked.Load(); n != 0 {
				t.Errorf("%s: asked %d times", l.name, n)
			}
		}
	})
}

// The key is what docs/protocol.md says: processes of other versions share it.
func TestReplayKey(t *testing.T) {
	shared, signed, recipients := links(t)[0], links(t)[1], links(t)[2]
	seen := map[ReplayKey]string{}
	for _, l := range []link{shared, signed, recipients} {
		var claim ReplayClaim
		o := guarded(l, cacheFunc(func(_ context.Context, c ReplayClaim) (bool, error) { claim = c; return true, nil }), time.Hour)
		_, h, err := o.Open(nil, seal(t, &l.Sealer, "m"))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		b.WriteString("hopseal/1 envelope replay key\x00")
		b.Write(h.ID[:])
		if h.Suite == SuiteShared {
			b.Write(h.SealKey[:])
			b.Write(make([]byte, 32))
		} else {
			sender, receiver := h.Sender, l.Opener.Identity.Fingerprint()
			b.Write(sender[:])
			b.Write(receiver[:])
		}
		fmt.Fprintf(&b, "\x00\x00\x00\x00\x00\x00\x00%c%s%s", len(h.Party), h.Party, l.Opener.Party)
		if claim.Key != sha256.Sum256(b.Bytes()) || claim.Header != h || !claim.Until.Equal(h.Time.Add(time.Hour+keys.ClockSkew+time.Second)) {
			t.Errorf("%s: %+v", l.name, claim)
		}
		seen[claim.Key] = l.name
		for name, other := range map[string]Opener{
			"another receiver": {Identity: identity(t, "x"), Party: l.Opener.Party},
			"another party":    {Identity: l.Opener.Identity, Party: l.Opener.Party + "x"},
		} {
			if other.replayKey(&h) == claim.Key {
				t.Errorf("%s: %s has the same key", l.name, name)
			}
		}
	}
	if len(seen) != 3 || label.EnvelopeReplay != "hopseal/1 envelope replay key\x00" {
		t.Error(seen)
	}
}

// A message to two identities, whose processes share a store, opens for both.
func TestSharedCacheKeepsReceiversApart(t *testing.T) {
	cache := new(sharedCache)
	l := guarded(links(t)[2], cache, time.Hour)
	carol := identity(t, "carol")
	l.Sealer.To = append(l.Sealer.To, carol.Public())
	sealed := seal(t, &l.Sealer, "m")
	toCarol := l.Opener
	toCarol.Identity = carol
	for _, o := range []*Opener{&l.Opener, &toCarol} {
		if _, _, err := o.Open(nil, sealed); err != nil {
			t.Error(err)
		}
		expectReason(t, o, sealed, ReasonReplay, "again")
	}
}
