package envelope

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/freshkeys"
	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// Bounds of a ReplayGuard.
const (
	replayWindow    = keys.ClockSkew // Opener.MaxAge where it is 0; and how far ahead a sender's clock may be
	replayPerSender = 1 << 14        // ids remembered for one sender, about 1 MB
)

// A ReplayGuard is a [ReplayCache] in memory. It remembers for each sender which messages
// were opened, so that none opens twice. It remembers for the longest MaxAge of its
// Openers and refuses older messages. It holds 16,384 messages of one sender; beyond that
// it refuses this sender's oldest ones rather than forget any. That bounds its memory, for
// each sender that the caller's Openers expect.
//
// One guard serves all Openers of one identity for as long as the process runs. A guard
// for each request would open nothing, and each of several guards would open a message
// once. [ReplayGuard.Bytes] keeps the guard over a restart. The zero ReplayGuard opens
// nothing: make one with [NewReplayGuard]. A ReplayGuard is safe for concurrent use and
// must not be copied.
type ReplayGuard struct {
	made    bool    // by NewReplayGuard, FirstReplayGuard or ParseReplayGuard
	first   readers // the keys whose first guard it is, if any
	mu      sync.Mutex
	window  time.Duration    // the longest MaxAge that it was asked with
	floor   time.Time        // nothing at or before it is accepted from a new sender
	senders map[sender]*seen // only senders whose proof verified
	sweep   int              // the number of senders at which idle ones are dropped
	log     *pagestore.Log   // where claims are noted for the store of the npm package, nil natively
}

type sender struct {
	root  keys.Fingerprint // in SuiteShared, the id of the pair
	party string
}

// senderOf names who sent a message. A party's name means something in its keyset only.
// Another keyset may have a party of the same name, and its holders must not be able to
// use up the ids of messages that they see.
func senderOf(h *Header) sender {
	if h.Suite == SuiteShared {
		return sender{keys.Fingerprint(h.SealKey), h.Party}
	}
	return sender{root: h.Sender}
}

func (s sender) compare(t sender) int {
	return cmp.Or(bytes.Compare(s.root[:], t.root[:]), cmp.Compare(s.party, t.party))
}

// seen is what is remembered of one sender.
type seen struct {
	floor time.Time           // nothing at or before it is accepted
	ids   map[MessageID]int64 // their times, in Unix milliseconds
}

// NewReplayGuard returns a guard that begins now, as after a restart. It refuses every
// message that is dated earlier than five minutes from now: an earlier process may have
// opened it, and a sender's clock may be five minutes ahead. So the guard opens nothing
// for the first five minutes, and never a message that waited from before. See
// [FirstReplayGuard] for keys that are new, [ParseReplayGuard] for a guard that was kept,
// and [ReplayCache] for a cache that several processes share.
func NewReplayGuard() *ReplayGuard { return newReplayGuard(time.Now().Add(replayWindow)) }

// FirstReplayGuard returns the first guard of an identity, or of a shared keyset, that
// this process has generated. Nothing can have been opened with these keys yet, so the
// guard opens whatever is sealed to them. That is true once: for a second guard of the same
// keys, and for keys that were read from anywhere, it does what [NewReplayGuard] does.
//
// Pass the keys that messages are sealed to: in [SuiteSharedSigned] the keyset. The guard
// is for these keys alone. An Opener with other keys returns an error, since what was sealed
// to those may have been opened before. A process that generates keys for another one
// keeps the guard's Bytes beside them. These name an identity; of a keyset they say only
// that it is one, not which.
func FirstReplayGuard[Keys *keys.Identity | *keys.SharedKeyset](of Keys) *ReplayGuard {
	if !freshkeys.Take(of) {
		return NewReplayGuard()
	}
	g := newReplayGuard(time.Time{})
	g.first = readersOf(any(of))
	return g
}

func newReplayGuard(floor time.Time) *ReplayGuard {
	return &ReplayGuard{made: true, window: replayWindow, floor: floor}
}

var errNoGuard = errors.New("envelope: a zero ReplayGuard opens nothing: make one with NewReplayGuard, once for an identity and not for each message")

// Claim implements [ReplayCache]. It reports false for a message that was opened
// before, and for one that is too old for the guard to tell.
func (g *ReplayGuard) Claim(_ context.Context, c ReplayClaim) (bool, error) {
	if !g.first.match(c.to) {
		return false, errOtherKeys
	}
	maxAge := c.Until.Sub(c.Header.Time) - replayMargin
	err := g.claim(c.Header, min(maxAge, MaxAgeLimit), time.Now())
	if err == errNoGuard {
		return false, err
	}
	return err == nil, nil
}

// claim records the message or refuses it. Its proof has verified.
func (g *ReplayGuard) claim(h Header, maxAge time.Duration, now time.Time) error {
	if !g.made {
		return errNoGuard
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h.Time = h.Time.Truncate(time.Millisecond) // as it is on the way, and remembered
	if !inTime(h.Time, maxAge, now) {
		return fail(ReasonTime)
	}
	g.window = max(g.window, maxAge)
	from := senderOf(&h)
	if err := g.of(from, now).accept(h, now, g.window); err != nil {
		return err
	}
	g.note(from, &h)
	return nil
}

// note writes down a claim for whoever follows the guard, see package pagestore. The caller holds mu.
//
//	claim = array(5) [ fingerprint | pair id bin 32, party str, message id bin 16, time ms, longest MaxAge ms ]
func (g *ReplayGuard) note(from sender, h *Header) {
	log := g.log
	if log == nil || log.Lost {
		return
	}
	b := strict.AppendBin(strict.AppendArray(log.Claims, 5), from.root[:])
	b = strict.AppendBin(strict.AppendStr(b, from.party), h.ID[:])
	b = strict.AppendUint(b, uint64(h.Time.UnixMilli()))
	log.Claims = strict.AppendUint(b, windowMilli(g.window))
	if len(b) > pagestore.MaxLog {
		*log = pagestore.Log{Lost: true}
	}
}

func (g *ReplayGuard) of(from sender, now time.Time) *seen {
	if s := g.senders[from]; s != nil {
		return s
	}
	if len(g.senders) >= g.sweep {
		g.forgetIdle(now)
		g.sweep = 2*len(g.senders) + 64
	}
	if g.senders == nil {
		g.senders = make(map[sender]*seen)
	}
	s := &seen{floor: g.floor, ids: make(map[MessageID]int64)}
	g.senders[from] = s
	return s
}

func (s *seen) accept(h Header, now time.Time, window time.Duration) error {
	if _, opened := s.ids[h.ID]; opened {
		return fail(ReasonReplay)
	}
	if len(s.ids) >= replayPerSender {
		s.makeRoom(now.Add(-window))
	}
	if !h.Time.After(s.floor) {
		return fail(ReasonTime)
	}
	s.ids[h.ID] = h.Time.UnixMilli()
	return nil
}

// makeRoom drops the ids that are refused for their age anyway, and at least the older half.
func (s *seen) makeRoom(old time.Time) {
	times := make([]int64, 0, len(s.ids))
	for _, t := range s.ids {
		times = append(times, t)
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	floor := time.UnixMilli(times[len(times)/2])
	if floor.Before(old) {
		floor = old
	}
	s.drop(floor)
}

// drop forgets the ids up to a time. It raises the floor to the newest of them, so that none
// is accepted again.
func (s *seen) drop(until time.Time) {
	for id, ms := range s.ids {
		t := time.UnixMilli(ms)
		if t.After(until) {
			continue
		}
		delete(s.ids, id)
		if t.After(s.floor) {
			s.floor = t
		}
	}
}

// forgetIdle drops the senders all of whose messages are older than the window. It raises
// the guard's own floor to theirs, so that nothing opens twice after a clock is set back.
func (g *ReplayGuard) forgetIdle(now time.Time) {
	old := now.Add(-g.window)
	for from, s := range g.senders {
		if s.drop(old); len(s.ids) == 0 {
			delete(g.senders, from)
			if s.floor.After(g.floor) {
				g.floor = s.floor
			}
		}
	}
}

// ErrReplayGuard is returned for bytes that are not a replay guard.
var ErrReplayGuard = errors.New("envelope: not a valid replay guard")

// Bytes returns the guard for storage: at most 26 bytes for each message that is not too
// old to open. Store them before you act on a message, or that message opens again after
// a restart. They hold no secret, but whoever sets them back can replay. A zero ReplayGuard
// returns nil, which [ParseReplayGuard] refuses.
//
//	array(5) [ version=3, first bin 0 | 32, longest MaxAge ms, floor ms, array of array(4) [ fingerprint | pair id bin 32, party str, floor ms,
//	           array of array(2) [ message id bin 16, time ms ] ] ]
//
// First says whose first guard it is: it is empty for no keys, the fingerprint of an identity,
// or 32 zeros for a keyset. Senders and ids stand in ascending order.
func (g *ReplayGuard) Bytes() []byte {
	if !g.made {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetIdle(time.Now())
	b := strict.AppendUint(strict.AppendArray(nil, 5), guardVersion)
	b = strict.AppendBin(b, g.first.bytes())
	b = strict.AppendUint(b, windowMilli(g.window))
	b = strict.AppendUint(b, floorMilli(g.floor))
	b = strict.AppendArray(b, len(g.senders))
	for _, from := range sortedKeys(g.senders, sender.compare) {
		s := g.senders[from]
		b = strict.AppendBin(strict.AppendArray(b, 4), from.root[:])
		b = strict.AppendUint(strict.AppendStr(b, from.party), floorMilli(s.floor))
		b = strict.AppendArray(b, len(s.ids))
		for _, id := range sortedKeys(s.ids, MessageID.compare) {
			b = strict.AppendBin(strict.AppendArray(b, 2), id[:])
			b = strict.AppendUint(b, uint64(s.ids[id]))
		}
	}
	return b
}

// sortedKeys returns the keys of m in order. It uses package sort, since package slices would
// add 15 KB for each type to the browser build.
func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return compare(keys[i], keys[j]) < 0 })
	return keys
}

func (id MessageID) compare(other MessageID) int { return bytes.Compare(id[:], other[:]) }

// floorMilli rounds up, so that storing a floor does not lower it. No message has a time above the highest
// that it gives.
func floorMilli(t time.Time) uint64 {
	if t.IsZero() || t.UnixMilli() < 0 {
		return 0
	}
	return min(uint64(t.Add(time.Millisecond-1).UnixMilli()), maxTime-1)
}

// windowMilli rounds up too.
func windowMilli(w time.Duration) uint64 { return uint64((w + time.Millisecond - 1).Milliseconds()) }

func fromMilli(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// ParseReplayGuard reads what [ReplayGuard.Bytes] returned, or returns
// [ErrReplayGuard].
func ParseReplayGuard(b []byte) (*ReplayGuard, error) {
	if v, ok := strict.Version(b); ok && v > guardVersion {
		return nil, fmt.Errorf("%w: %w", ErrReplayGuard, keys.ErrVersion)
	}
	r := strict.NewReader(b)
	r.Array(5)
	version := r.Uint()
	first := r.Bin(0, 32)
	window := readWindow(&r)
	g := newReplayGuard(fromMilli(readMilli(&r)))
	g.first, g.window = parseReaders(&r, first), window
	n := r.ArrayLen(0, len(b)/leastSender)
	g.senders = make(map[sender]*seen, n)
	var last sender
	for i := range n {
		r.Array(4)
		var from sender
		copy(from.root[:], r.Bin(32, 32))
		from.party = r.Str(0, MaxPartySize)
		s := readSeen(&r)
		if s == nil || i > 0 && last.compare(from) >= 0 {
			return nil, ErrReplayGuard
		}
		g.senders[from], last = s, from
	}
	if r.Done() != nil || version != guardVersion {
		return nil, ErrReplayGuard
	}
	return g, nil
}

// The least that a sender and an id take, in bytes. They bound how many can follow, so that
// memory is allocated in proportion to the input (A28).
const (
	leastSender = 1 + 2 + 32 + 1 + 1 + 1
	leastID     = 1 + 2 + len(MessageID{}) + 1
)

const guardVersion = 3

// readWindow reads the longest MaxAge of the Openers and checks that it can be one.
func readWindow(r *strict.Reader) time.Duration {
	ms := r.Uint()
	if ms < uint64(replayWindow.Milliseconds()) || ms > uint64(MaxAgeLimit.Milliseconds()) {
		r.Fail()
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func readMilli(r *strict.Reader) uint64 {
	ms := r.Uint()
	if ms >= maxTime {
		r.Fail()
	}
	return ms
}

// readSeen reads what is remembered of a sender. It returns nil if the bytes are malformed.
func readSeen(r *strict.Reader) *seen {
	s := &seen{floor: fromMilli(readMilli(r))}
	n := r.ArrayLen(0, min(replayPerSender, r.Len()/leastID))
	s.ids = make(map[MessageID]int64, n)
	var last MessageID
	for i := range n {
		r.Array(2)
		var id MessageID
		copy(id[:], r.Bin(len(id), len(id)))
		ms := readMilli(r)
		if r.Failed() || i > 0 && last.compare(id) >= 0 {
			return nil
		}
		s.ids[id], last = int64(ms), id
	}
	if r.Failed() {
		return nil
	}
	return s
}
