package keystore

import (
	"maps"
	"time"

	"github.com/hopseal/hopseal/keys"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// A tally is a store's own count of time, by which keys age. It counts a second for each second that
// was measured, and none for those by which the wall clock jumps. So a clock that jumps, however far
// and for however long, makes no key older, and neither does a year in which the machine was off.
// Statements live by the wall clock, as peers judge them.
//
// It is in seconds since 1970, and agrees with the wall clock: when that jumps, the tally and all its
// times move along, so that ages stay what they are. A tally is immutable.
type tally struct {
	at        int64 // the time of the last reading
	measure   measure
	guessed   int64 // seconds in at that nothing measured and no later reading has confirmed
	confirmAt int64 // when a jump or a guess will be confirmed, 0 if there is none
	jump      jump  // the jump that is not confirmed, zero for none
	ages      map[KeyRef]age
}

// A measure is a reading of a clock that nobody sets, such as how long a machine has been running.
type measure struct {
	source string // which clock: measures of two clocks cannot be compared; "" for none
	now    int64  // in seconds
}

// jump is what a clock should have shown, and what it showed.
type jump struct{ from, to int64 }

// age is what a store remembers of a key.
type age struct {
	stage  keys.Stage
	since  int64 // when the stage began, by the tally
	listed int64 // until when the last statement that listed it as a sealing key is valid, by the wall clock
}

const (
	// maxUnmeasured is how much of the time between two readings counts if nothing measured it: a
	// program that runs once a day may miss a day.
	maxUnmeasured int64 = 48 * 60 * 60
	// confirmTime is how long the wall clock has to agree with what is measured, after a jump, before
	// it is believed. A second reading confirms the first if it comes that much later.
	confirmTime int64 = 60 * 60
	// drift is how much the wall clock may differ from the tally.
	drift int64 = 60
	// maxStep is by how much the wall clock may be set at once and still be believed: peers accept
	// that too.
	maxStep = int64(keys.ClockSkew / time.Second)
	// saveInterval is how often the tally is written to disk.
	saveInterval int64 = 12 * 60 * 60
)

// impossible reports whether the wall clock shows a time that is certainly over.
func (t tally) impossible(wall int64) bool {
	return wall < unixtime.Beginning && t.at >= unixtime.Beginning
}

// advance returns the tally when the wall clock shows that time. passed is how many seconds were
// measured since the last reading, negative for unknown.
func (t tally) advance(wall int64, m measure, passed int64) tally {
	if t.impossible(wall) {
		return t
	}
	if before := t.measure; passed < 0 && m.source != "" && m.source == before.source {
		passed = m.now - before.now
	}
	t.measure = m
	if passed < 0 {
		t = t.guess(wall)
	} else {
		t.at += passed
	}
	switch leap := wall - t.at; {
	case leap >= -drift && leap <= drift:
		if t.confirmAt != 0 && t.at >= t.confirmAt {
			t = t.confirm()
		}
		return t
	case passed >= 0: // a guess is contradicted, if there was one
		return t.withdraw().shiftTo(wall)
	}
	return t.shiftTo(wall)
}

// guess counts the time since the last reading if only the wall clock says how long that was.
func (t tally) guess(wall int64) tally {
	switch gap := wall - t.at; {
	case gap < 0:
		t = t.withdraw()
	case gap >= confirmTime:
		t = t.confirm()
	}
	credit := min(max(wall-t.at, 0), maxUnmeasured)
	t.at += credit
	if credit > drift {
		t.guessed += credit
		if t.confirmAt == 0 {
			t.confirmAt = t.at + confirmTime
		}
	}
	return t
}

func (t tally) confirm() tally {
	t.guessed, t.confirmAt, t.jump = 0, 0, jump{}
	return t
}

// withdraw removes the guessed seconds.
func (t tally) withdraw() tally {
	t.at -= t.guessed
	t.guessed = 0
	return t
}

// shiftTo moves the tally to what the wall clock shows. All its times move along, so that ages stay.
func (t tally) shiftTo(wall int64) tally {
	by := wall - t.at
	ages := make(map[KeyRef]age, len(t.ages))
	for ref, a := range t.ages {
		a.since += by
		ages[ref] = a
	}
	from := t.at
	t.at, t.ages = wall, ages
	if by >= -maxStep && by <= maxStep {
		if t.confirmAt != 0 {
			t.confirmAt += by
		}
		return t
	}
	t.jump, t.confirmAt = jump{from, wall}, wall+confirmTime
	return t
}

// jumped reports whether the wall clock has jumped and nothing has confirmed that yet.
func (t tally) jumped() bool { return t.jump != jump{} }

// usable returns the time by which keys age: the tally without guessed seconds.
func (t tally) usable() time.Time { return time.Unix(t.at-t.guessed, 0) }

// follow returns the tally with the ages of the keys that a store holds. listedUntil returns until when
// a statement lists a key; known says whether the tally has the key already.
func (t tally) follow(held []heldKey, listedUntil func(k heldKey, known bool) int64, wall int64) tally {
	ages := make(map[KeyRef]age, len(t.ages))
	for _, k := range held {
		ref := k.ref
		a, known := t.ages[ref]
		if !known || a.stage != k.stage {
			a.stage, a.since = k.stage, t.at
			if !known && !t.impossible(wall) {
				a.since = min(k.began(), t.at) // it was made elsewhere
			}
		}
		a.listed = max(a.listed, listedUntil(k, known))
		ages[ref] = a
	}
	if !maps.Equal(ages, t.ages) {
		t.ages = ages
	}
	return t
}

// append writes the tally, the ages in the order of the keys:
//
//	array(8) [ at s, source str, measured s, guessed s, sure s, jump from s, jump to s, array of array(2) [ since s, listed until s ] ]
func (t tally) append(dst []byte, keys []heldKey) []byte {
	dst = appendSeconds(strict.AppendArray(dst, 8), t.at)
	dst = strict.AppendStr(dst, t.measure.source)
	for _, v := range []int64{t.measure.now, t.guessed, t.confirmAt, t.jump.from, t.jump.to} {
		dst = appendSeconds(dst, v)
	}
	dst = strict.AppendArray(dst, len(keys))
	for _, k := range keys {
		a := t.ages[k.ref]
		dst = appendSeconds(appendSeconds(strict.AppendArray(dst, 2), a.since), a.listed)
	}
	return dst
}

// appendSeconds writes a time. It replaces a time that readers would refuse by the closest that they
// accept.
func appendSeconds(dst []byte, v int64) []byte {
	return strict.AppendUint(dst, uint64(min(max(v, 0), unixtime.Limit)))
}

func parseTally(r *strict.Reader, keys []heldKey) tally {
	seconds := func() int64 {
		v := r.Uint()
		if v > unixtime.Limit {
			r.Fail()
		}
		return int64(v)
	}
	r.Array(8)
	t := tally{at: seconds(), measure: measure{source: r.Str(0, maxMeasureName)}, ages: make(map[KeyRef]age)}
	t.measure.now, t.guessed, t.confirmAt = seconds(), seconds(), seconds()
	t.jump = jump{seconds(), seconds()}
	r.Array(len(keys))
	for _, k := range keys {
		r.Array(2)
		t.ages[k.ref] = age{k.stage, seconds(), seconds()}
	}
	return t
}

const maxMeasureName = 64

func (t tally) unconfirmedJump() (from, to time.Time, doubted bool) {
	if !t.jumped() {
		return time.Time{}, time.Time{}, false
	}
	return time.Unix(t.jump.from, 0), time.Unix(t.jump.to, 0), true
}

// A heldKey is a key in a store.
type heldKey struct {
	ref KeyRef
	ring.Life
	stage keys.Stage
}

// began returns when the key came to its stage, by the wall clock.
func (k heldKey) began() int64 { return int64(max(k.Created, k.Promoted, k.Retired, k.Archived)) }
