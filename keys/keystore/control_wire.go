package keystore

import (
	"math"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/trust"
)

// op is what a request asks for.
type op uint64

const (
	opAdmit   op = iota + 1 // a peer
	opForget                // a peer's admission
	opRevoked               // a peer, as its root says
	opSucceed               // a peer, by another
	opRotate                // what is due
	opAdd                   // a key, and so on
	opReplace
	opPromote
	opDisable
	opDestroy
	opRenew // the statement
	opRevoke
	opPut // a shared keyset
	opUpdate
	opLast = opUpdate
)

// A request is one of
//
//	array(3) [ 1, where, statement bin ]                 admit
//	array(3) [ 2, where, root bin 32 ]                   forget
//	array(2) [ 3, statement bin ]                        a peer is revoked
//	array(2) [ 4, succession bin ]
//	array(2) [ 5, policy | nil ]                         rotate: by the writer's policy for nil
//	array(2) [ 6 | 7, keyset ]                           add, replace
//	array(3) [ 8 | 9 | 10, keyset, key ]                 promote, disable, destroy
//	array(1) [ 11 | 12 ]                                 renew, revoke
//	array(3) [ 13 | 14, name str, shared keyset bin ]    put, update
//
//	where  = array(4) [ address str, room str, role, root bin 32 | nil ]
//	keyset = array(2) [ use, name str ]
//	policy = array(7) [ age, messages, bytes, lead, overlap, keep, follow array of str ]
//
// with times in nanoseconds.
type request struct {
	op     op
	want   trust.Expected
	root   keys.Fingerprint
	ref    KeyRef
	data   []byte // a statement, a succession or a shared keyset
	policy *RotationPolicy
}

// maxFollowed is how many shared keysets a policy may name in a request.
const maxFollowed = 1024

// shape is how many values a request of each kind has.
var shape = [opLast + 1]int{opAdmit: 3, opForget: 3, opRevoked: 2, opSucceed: 2, opRotate: 2, opAdd: 2, opReplace: 2,
	opPromote: 3, opDisable: 3, opDestroy: 3, opRenew: 1, opRevoke: 1, opPut: 3, opUpdate: 3}

func (q request) append(b []byte) []byte {
	b = strict.AppendUint(strict.AppendArray(b, shape[q.op]), uint64(q.op))
	switch q.op {
	case opAdmit:
		return strict.AppendBin(appendExpected(b, q.want), q.data)
	case opForget:
		return strict.AppendBin(appendExpected(b, q.want), q.root[:])
	case opRevoked, opSucceed:
		return strict.AppendBin(b, q.data)
	case opRotate:
		return appendPolicy(b, q.policy)
	case opAdd, opReplace:
		return appendKeyset(b, q.ref)
	case opPromote, opDisable, opDestroy:
		return strict.AppendUint(appendKeyset(b, q.ref), uint64(q.ref.TinkID))
	case opPut, opUpdate:
		return strict.AppendBin(strict.AppendStr(b, q.ref.Keyset), q.data)
	}
	return b
}

// parseRequest returns a request whose data is a part of b.
func parseRequest(b []byte) (q request, err error) {
	r := strict.NewReader(b)
	n, kind := r.ArrayLen(1, 3), r.Uint()
	if kind == 0 || kind > uint64(opLast) || n != shape[kind] {
		return request{}, errWire
	}
	switch q.op = op(kind); q.op {
	case opAdmit:
		q.want = parseExpected(&r)
		q.data = r.Bin(1, keys.MaxPublicSize)
	case opForget:
		q.want = parseExpected(&r)
		copy(q.root[:], r.Bin(len(q.root), len(q.root)))
	case opRevoked, opSucceed:
		q.data = r.Bin(1, keys.MaxPublicSize)
	case opRotate:
		q.policy = parsePolicy(&r)
	case opAdd, opReplace:
		q.ref = parseKeyset(&r)
	case opPromote, opDisable, opDestroy:
		q.ref = parseKeyset(&r)
		q.ref.TinkID = uint32(bounded(&r, 0, math.MaxUint32))
	case opPut, opUpdate:
		q.ref = KeyRef{Use: keys.UseShared, Keyset: r.Str(1, MaxKeysetName)}
		q.data = r.Bin(1, maxRequest)
	}
	if r.Done() != nil {
		return request{}, errWire
	}
	return q, nil
}

func bounded(r *strict.Reader, least, most uint64) uint64 {
	v := r.Uint()
	if v < least || v > most {
		r.Fail()
		return 0
	}
	return v
}

func appendExpected(b []byte, want trust.Expected) []byte {
	b = strict.AppendStr(strict.AppendStr(strict.AppendArray(b, 4), want.Address), want.Room)
	b = strict.AppendUint(b, uint64(want.Role))
	if want.Fingerprint == (keys.Fingerprint{}) {
		return strict.AppendNil(b)
	}
	return strict.AppendBin(b, want.Fingerprint[:])
}

func parseExpected(r *strict.Reader) (want trust.Expected) {
	r.Array(4)
	want.Address, want.Room = r.Str(0, bridge.MaxName), r.Str(0, bridge.MaxName)
	want.Role = trust.Role(bounded(r, 0, uint64(trust.RoleMember)))
	if !r.Nil() && copy(want.Fingerprint[:], r.Bin(32, 32)) > 0 && want.Fingerprint == (keys.Fingerprint{}) {
		r.Fail() // nil says that any root is expected
	}
	return want
}

func appendKeyset(b []byte, ref KeyRef) []byte {
	return strict.AppendStr(strict.AppendUint(strict.AppendArray(b, 2), uint64(ref.Use)), ref.Keyset)
}

func parseKeyset(r *strict.Reader) KeyRef {
	r.Array(2)
	return KeyRef{Use: keys.Use(bounded(r, uint64(keys.UseSigning), uint64(keys.UseShared))), Keyset: r.Str(0, MaxKeysetName)}
}

func appendPolicy(b []byte, p *RotationPolicy) []byte {
	if p == nil {
		return strict.AppendNil(b)
	}
	b = strict.AppendArray(b, 7)
	for _, v := range []uint64{uint64(p.Age), p.Messages, p.Bytes, uint64(p.Lead), uint64(p.Overlap), uint64(p.Keep)} {
		b = strict.AppendUint(b, v)
	}
	b = strict.AppendArray(b, len(p.Follow))
	for _, name := range p.Follow {
		b = strict.AppendStr(b, name)
	}
	return b
}

func parsePolicy(r *strict.Reader) *RotationPolicy {
	if r.Nil() {
		return nil
	}
	span := func() time.Duration { return time.Duration(bounded(r, 0, math.MaxInt64)) }
	r.Array(7)
	p := RotationPolicy{Age: span(), Messages: r.Uint(), Bytes: r.Uint(), Lead: span(), Overlap: span(), Keep: span()}
	for range r.ArrayLen(0, maxFollowed) {
		p.Follow = append(p.Follow, r.Str(1, MaxKeysetName))
	}
	return &p
}

// fits reports whether the writer can parse the request.
func (q request) fits() bool {
	back, err := parseRequest(q.append(nil))
	return err == nil && back.op == q.op && utf8.ValidString(q.want.Address+q.want.Room+q.ref.Keyset)
}

// An answer is
//
//	array(5) [ code, text str 0..8000, key, next, filling array of array(4) [ use, name str, key, due ] ]
//
// The code is 0 if the change was made. Key is the new key, if any. Next and due are Unix times
// in milliseconds, next is 0 for never.
type answer struct {
	code    uint64
	text    string
	key     uint32
	next    time.Time
	filling []*KeysetFullError
}

const (
	maxAnswerText = 8000 // bytes
	maxFilling    = 100  // keysets; an answer leaves out more
)

func (a answer) append(b []byte) []byte {
	b = strict.AppendUint(strict.AppendArray(b, 5), a.code)
	b = strict.AppendUint(strict.AppendStr(b, a.text), uint64(a.key))
	b = strict.AppendUint(b, millis(a.next))
	b = strict.AppendArray(b, len(a.filling))
	for _, e := range a.filling {
		b = strict.AppendUint(strict.AppendArray(b, 4), uint64(e.Keyset.Use))
		b = strict.AppendUint(strict.AppendStr(b, e.Keyset.Keyset), uint64(e.Keyset.TinkID))
		b = strict.AppendUint(b, millis(e.Due))
	}
	return b
}

const trustReasons = trust.NotYetValid // how many there are

func parseAnswer(b []byte) (a answer, err error) {
	r := strict.NewReader(b)
	r.Array(5)
	a.code, a.text = bounded(&r, 0, codeTrust+uint64(trustReasons)), r.Str(0, maxAnswerText)
	a.key, a.next = uint32(bounded(&r, 0, math.MaxUint32)), atMillis(&r)
	for range r.ArrayLen(0, maxFilling) {
		r.Array(4)
		e := &KeysetFullError{Keyset: KeyRef{Use: keys.Use(bounded(&r, uint64(keys.UseSigning), uint64(keys.UseShared))), Keyset: r.Str(0, MaxKeysetName)}}
		e.Keyset.TinkID, e.Due = uint32(bounded(&r, 0, math.MaxUint32)), atMillis(&r)
		a.filling = append(a.filling, e)
	}
	if r.Done() != nil || (a.code == 0) != (a.text == "") {
		return answer{}, errWire
	}
	return a, nil
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

func atMillis(r *strict.Reader) time.Time {
	if ms := bounded(r, 0, maxMillis); ms != 0 {
		return time.UnixMilli(int64(ms))
	}
	return time.Time{}
}

const maxMillis = 253402300799000 // the year 9999

// Codes of answers without a known error. A code above codeTrust stands for a [*trust.Error]'s reason.
const (
	codeOther = 1
	codeTrust = 100
)
