//go:build !js

package envelope

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// A thousand messages are sealed by concurrent senders while three rotations
// pass. All that arrive within the overlap open, none is lost; what arrives after
// it is refused with a reason of its own, and opens from an archive.
func TestRotationLosesNothing(t *testing.T) {
	for i, kind := range []string{"shared", "shared signed", "recipients"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { rotateUnderLoad(t, i, sharedKeyset(t)) })
		})
	}
	t.Run("shared, AES", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shared, _ := importedAESKeyset()
			rotateUnderLoad(t, 0, shared)
		})
	})
}

type sent struct {
	sealed []byte
	text   string
}

func rotateUnderLoad(t *testing.T, kind int, shared *keys.SharedKeyset) {
	const senders, overlap = 4, 4 * time.Minute
	perSender := 250
	if slowtest.Mode {
		perSender = 125
	}
	alice, bob := testStore(t, "alice"), testStore(t, "bob")
	if err := alice.PutSharedKeyset("s", shared); err != nil {
		t.Fatal(err)
	}
	policy := keystore.RotationPolicy{Age: time.Hour, Lead: 10 * time.Minute, Overlap: overlap}
	rotate := func() {
		for _, s := range []*keystore.Store{alice, bob} {
			if _, err := s.Rotate(policy); err != nil {
				t.Error(err)
			}
		}
	}
	sealer := func() Sealer { // a sender looks the statement of the other end up
		switch kind {
		case 0:
			return Sealer{Shared: shared, Party: "a", ToParty: "b"}
		case 1:
			return Sealer{Shared: shared, From: alice.Identity(), ToParty: "b"}
		}
		return Sealer{From: alice.Identity(), To: []*keys.PublicIdentity{bob.Identity().Public()}}
	}
	guard := anyTime()
	opener := func() Opener {
		o := Opener{Shared: shared, Party: "b", FromParty: "a", Replay: guard}
		if kind > 0 {
			o = Opener{Shared: shared, Party: "b", Identity: bob.Identity(), From: alice.Identity().Public(), Replay: guard}
		}
		if kind == 2 {
			o.Shared, o.Party = nil, ""
		}
		return o
	}
	wire := make(chan sent, senders*perSender)
	var late []sent
	var lateLock sync.Mutex
	var working sync.WaitGroup
	for n := range senders {
		working.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for m := range perSender {
				time.Sleep(time.Duration(random.IntN(110)) * time.Second) // some 3.8 h in all: three rotations
				s, text := sealer(), fmt.Sprintf("message %d of %d", m, n)
				sealed, err := s.Seal(nil, []byte(text))
				if err != nil {
					t.Error(err)
					return
				}
				if m%25 == 0 {
					lateLock.Lock()
					late = append(late, sent{sealed, text})
					lateLock.Unlock()
				}
				delay := time.Duration(random.IntN(int(overlap/time.Second))) * time.Second
				working.Go(func() {
					time.Sleep(delay)
					wire <- sent{sealed, text}
				})
			}
		})
	}
	finished := make(chan struct{})
	go func() { working.Wait(); close(finished); close(wire) }()
	opened := map[string]bool{}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-tick.C:
			rotate()
		case m, ok := <-wire:
			if more = ok; !ok {
				break
			}
			o := opener()
			got, _, err := o.Open(nil, m.sealed)
			if err != nil || string(got) != m.text {
				t.Fatalf("%s: %q, %v (%v)", m.text, got, err, ReasonOf(err))
			}
			opened[m.text] = true
		}
	}
	<-finished
	if len(opened) != senders*perSender {
		t.Errorf("%d of %d messages opened", len(opened), senders*perSender)
	}
	retired, retiring := 0, 0
	for _, m := range late {
		o := opener()
		o.Replay, o.InsecureAllowReplay = nil, true
		if _, h, err := o.Open(nil, m.sealed); err == nil && h.Retired {
			retiring++
		} else if err != nil {
			if retired++; !errors.Is(err, ErrOpen) || ReasonOf(err) != ReasonRetired {
				t.Fatalf("late: %v (%v)", err, ReasonOf(err))
			}
		}
		o.Archive = true
		if got, _, err := o.Open(nil, m.sealed); err != nil || string(got) != m.text {
			t.Fatalf("from the archive: %v (%v)", err, ReasonOf(err))
		}
	}
	if kind == 2 { // statements live for 30 days
		if retired > 0 || retiring == 0 {
			t.Errorf("%d messages sealed by a valid statement were refused, %d to a key that has retired", retired, retiring)
		}
	} else if retired == 0 {
		t.Error("no message was late: the test rotates nothing")
	}
}

func testStore(t *testing.T, name string) *keystore.Store {
	t.Helper()
	s, err := keystore.Create(t.Context(), filepath.Join(t.TempDir(), name),
		keystore.Passphrase([]byte("upriver lagoon cassette mulberry trombone")), identity(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
