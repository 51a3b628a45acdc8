package keystore

import (
	"crypto/ed25519"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// sealers hold each statement for as long as it is valid.
type sealers struct {
	statements []*keys.PublicIdentity
	archived   map[uint32]time.Time // when each key was first seen in the archive
}

// check fails unless each statement that is valid now names a key that is accepted, and keys were
// destroyed only when they had been in the archive for as long as the policy says.
func (a *sealers) check(t *testing.T, s *Store, p RotationPolicy, now time.Time) {
	t.Helper()
	if current := s.Identity().Public(); len(a.statements) == 0 || a.statements[len(a.statements)-1] != current {
		a.statements = append(a.statements, current)
	}
	for len(a.statements) > 0 && !now.Before(a.statements[0].Expires()) {
		a.statements = a.statements[1:]
	}
	for _, held := range a.statements {
		if stage, ok := s.Identity().SealingKey(held.RecipientKey().ID()); now.Before(held.Expires()) && (!ok || stage == keys.StageArchived) {
			t.Fatalf("%+v: on %v the key that the statement of %v lists until %v is not accepted: %v", p, now, held.Issued(), held.Expires(), stage)
		}
	}
	there := map[uint32]bool{}
	for _, k := range s.keys(KeyRef{Use: keys.UseSealing}) {
		there[k.TinkID] = true
		if _, seen := a.archived[k.TinkID]; !seen && k.Stage == keys.StageArchived {
			a.archived[k.TinkID] = now
		}
	}
	for id, since := range a.archived {
		if !there[id] {
			if p.Keep == 0 || now.Sub(since) < p.Keep {
				t.Fatalf("%+v: key %d was destroyed after %v in the archive", p, id, now.Sub(since))
			}
			delete(a.archived, id)
		}
	}
}

// TestSealingKeysLiveAsLongAsStatements has random policies for months, with keysets that fill, and
// senders with statements of every age. It looks when somebody may, and not at fixed times.
func TestSealingKeysLiveAsLongAsStatements(t *testing.T) {
	slowtest.Skip(t)
	small(t)
	ring.Capacity = 20
	runs, days := 1, 45
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		runs, days = 60, 300
	}
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 4))
		between := func(from, to time.Duration) time.Duration {
			return from + time.Duration(random.Int64N(int64(to-from+1)))
		}
		p := RotationPolicy{Age: between(time.Hour, 60*day), Overlap: between(0, 3*day)}
		if seed%3 == 0 {
			p.Age = between(time.Hour, 2*day)
		}
		p.Lead = between(0, min(p.Age, 2*day))
		if random.IntN(3) > 0 {
			p.Keep = between(time.Hour, 20*day)
		}
		var now time.Time
		s := lasting(t, &now)
		senders := sealers{archived: map[uint32]time.Time{}}
		for end := now.Add(time.Duration(days) * day); now.Before(end); {
			senders.check(t, s, p, now)
			s.Rotate(p) // a full keyset is an error, and stops nothing
			valid(t, s, now)
			senders.check(t, s, p, now)
			if random.IntN(60) == 0 { // rotate -now
				ref := KeyRef{Use: keys.UseSealing}
				if id, err := s.Add(ref); err == nil {
					ref.TinkID = id
					if err := s.Promote(ref); err != nil {
						t.Fatal(err)
					}
				}
			}
			now = now.Add(between(time.Minute, 40*time.Hour))
		}
		reopened(t, s)
	}
}

// TestADailyKeyAndAYearOfArchiveFit holds the room of a keyset against a policy that changes keys
// each day and keeps them as long as the default.
func TestADailyKeyAndAYearOfArchiveFit(t *testing.T) {
	p := DefaultRotation
	p.Age, p.Lead = day, time.Hour
	for _, use := range []keys.Use{keys.UseSealing, keys.UseShared} {
		if n := p.lasting(KeyRef{Use: use}); n >= ring.MaxKeys-20 {
			t.Errorf("%v: %d keys at a time, of %d that fit", use, n, ring.MaxKeys)
		}
	}
	if os.Getenv("HOPSEAL_LONG_TESTS") == "" {
		return
	}
	var now time.Time
	s := lasting(t, &now)
	for n := range 440 {
		if _, err := s.Rotate(p); err != nil || len(s.Filling(p)) > 0 {
			t.Fatalf("day %d: %v, %v", n, err, s.Filling(p))
		}
		valid(t, s, now)
		now = now.Add(day)
	}
	if info, err := os.Stat(s.path); err != nil || info.Size() > 1<<20 {
		t.Errorf("the store has %d bytes, %v", info.Size(), err)
	}
	reopened(t, s)
}

// TestListedUntil tells until when a key that is disabled by hand is sealed to.
func TestListedUntil(t *testing.T) {
	var now time.Time
	s := lasting(t, &now)
	first := s.keys(KeyRef{Use: keys.UseSealing})[0]
	ref := KeyRef{Use: keys.UseSealing, TinkID: first.TinkID}
	if got := s.ListedUntil(ref); !got.Equal(s.Identity().Public().Expires()) {
		t.Errorf("the primary is listed until %v", got)
	}
	now = now.Add(10 * day)
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(day)
	next := KeyRef{Use: keys.UseSealing}
	id, err := s.Add(next)
	if err != nil {
		t.Fatal(err)
	}
	if next.TinkID = id; !s.ListedUntil(next).IsZero() {
		t.Error("a pending key is not listed for anybody to seal to")
	}
	last := s.Identity().Public().Expires() // of the statement that tells of it, and lists the first
	if err := s.Promote(next); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	if got := s.ListedUntil(ref); !got.Equal(last) {
		t.Errorf("listed until %v, want %v", got, last)
	}
	if due := s.Identity().Public().RenewalDue(); due.Before(now.Add(15*day-time.Minute)) || due.After(now.Add(15*day)) {
		t.Errorf("a newer statement is due on %v", due)
	}
}

// TestAnExternalSignersKeyStaysListed has a signature of before a renewal verify after it.
func TestAnExternalSignersKeyStaysListed(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	_, signer, _ := ed25519.GenerateKey(nil)
	synctest.Test(t, func(t *testing.T) {
		id, err := keys.GenerateIdentityWith("alice", outsideSigner(root), outsideSigner(signer))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		signed := time.Now()
		time.Sleep(time.Hour)
		if err := id.Renew(); err != nil {
			t.Fatal(err)
		}
		if !id.Public().VerifyingKey().ValidAt(signed) {
			t.Error("what was signed an hour before the renewal does not verify")
		}
	})
}
