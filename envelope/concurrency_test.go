//go:build !js

package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// One Sealer, Opener, Verifier, ReaderAt and guard serve many goroutines, while the
// keys behind them change. The race detector watches.
func TestOneOfEachForManyGoroutines(t *testing.T) {
	alice, bob, shared := testStore(t, "alice"), testStore(t, "bob"), sharedKeyset(t)
	if err := alice.PutSharedKeyset("s", shared); err != nil {
		t.Fatal(err)
	}
	signing := keystore.KeyRef{Use: keys.UseSigning}
	var pending []uint32 // listed before, so that who expects Alice knows them
	for range 3 {
		id, err := alice.Add(signing)
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, id)
	}
	r := &ringed{alice: alice.Identity(), bob: bob.Identity(), shared: shared}
	const workers = 6
	rotations := make(chan struct{})
	for _, l := range r.links() {
		guard := anyTime()
		l.Opener.Replay, l.InsecureAllowReplay = guard, false
		long := content(3*segmentData + 9)
		sealed := sealStream(t, &l.Sealer, long)
		at, err := l.opener().NewReaderAt(bytes.NewReader(sealed), int64(len(sealed)))
		if err != nil {
			t.Fatal(err)
		}
		one := seal(t, &l.Sealer, "for one of them")
		gateway := l.gateway()
		var opened atomic.Int32
		var working sync.WaitGroup
		for n := range workers {
			working.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), 1))
				for m := range 25 {
					if err := l.exchange(gateway, fmt.Sprintf("message %d of %d", m, n)); err != nil {
						t.Errorf("%s: %v (%v)", l.name, err, ReasonOf(err))
					}
					off := random.IntN(len(long) - 100)
					part := make([]byte, 100)
					if _, err := at.ReadAt(part, int64(off)); err != nil || !bytes.Equal(part, long[off:][:100]) {
						t.Errorf("%s: ReadAt(%d): %v", l.name, off, err)
					}
					guard.Bytes()
				}
				if _, _, err := l.Open(nil, one); err == nil {
					opened.Add(1)
				} else if ReasonOf(err) != ReasonReplay {
					t.Errorf("%s: %v", l.name, ReasonOf(err))
				}
			})
		}
		go func() {
			promote := signing
			promote.TinkID, pending = pending[0], pending[1:]
			if err := errors.Join(promoteAnother(alice, keystore.KeyRef{Use: keys.UseShared, Keyset: "s"}),
				promoteAnother(bob, keystore.KeyRef{Use: keys.UseSealing}), alice.Promote(promote)); err != nil {
				t.Error(err)
			}
			rotations <- struct{}{}
		}()
		working.Wait()
		<-rotations
		if opened.Load() != 1 {
			t.Errorf("%s: one message opened %d times", l.name, opened.Load())
		}
	}
}

// exchange sends one message and one stream, and has a gateway look at both.
func (l *link) exchange(gateway *Verifier, text string) error {
	sealed, err := l.Seal(nil, []byte(text))
	if err != nil {
		return err
	}
	var streamed bytes.Buffer
	w, err := l.NewWriter(&streamed)
	if err != nil {
		return err
	}
	if _, err = io.WriteString(w, text); err != nil {
		return err
	}
	if err := w.Finish(); err != nil {
		return err
	}
	if gateway.From != nil {
		if _, err := gateway.Verify(sealed); err != nil {
			return err
		}
		if _, err := gateway.VerifyStream(bytes.NewReader(streamed.Bytes())); err != nil {
			return err
		}
	}
	got, _, err := l.Open(nil, sealed)
	if err != nil {
		return err
	}
	r, err := l.NewReader(&streamed)
	if err != nil {
		return err
	}
	again, err := io.ReadAll(r)
	if err == nil && (string(got) != text || string(again) != text) {
		return fmt.Errorf("%q and %q, want %q", got, again, text)
	}
	return err
}
