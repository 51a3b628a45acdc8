package trust

import (
	"math"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// Bytes returns the list for storage. It holds no secret, but whoever changes it
// changes whom the user trusts: keep it where the identity is kept.
//
//	array(3) [ version=1,
//	  roots array of array(4) [ root bin 32, serial, digest bin 32, successor bin 32 | nil ],
//	  admissions array of array(5) [ kind, name str, role, root bin 32, level ] ]
func (k *KnownPeers) Bytes() []byte {
	return k.now().append(nil)
}

func (n snapshot) append(b []byte) []byte {
	b = strict.AppendUint(strict.AppendArray(b, 3), 1)
	b = strict.AppendArray(b, len(n.roots))
	for _, s := range n.roots {
		b = strict.AppendBin(strict.AppendArray(b, 4), s.root[:])
		b = strict.AppendBin(strict.AppendUint(b, s.serial), s.digest[:])
		if s.successor == (keys.Fingerprint{}) {
			b = strict.AppendNil(b)
		} else {
			b = strict.AppendBin(b, s.successor[:])
		}
	}
	b = strict.AppendArray(b, len(n.admissions))
	for _, a := range n.admissions {
		b = strict.AppendUint(strict.AppendArray(b, 5), uint64(a.scope.kind))
		b = strict.AppendUint(strict.AppendStr(b, a.scope.name), uint64(a.scope.role))
		b = strict.AppendUint(strict.AppendBin(b, a.root[:]), uint64(a.level))
	}
	return b
}

// ParseKnownPeers reads what [KnownPeers.Bytes] returned, or returns
// [ErrKnownPeers].
func ParseKnownPeers(b []byte) (_ *KnownPeers, err error) {
	defer version.Later(&err, b, 1)
	r := strict.NewReader(b)
	r.Array(3)
	version := r.Uint()
	var n snapshot
	for range r.ArrayLen(0, math.MaxInt32) {
		s, ok := parseRootState(&r)
		if last := len(n.roots) - 1; !ok || last >= 0 && n.roots[last].compare(s) >= 0 {
			return nil, ErrKnownPeers
		}
		n.roots = append(n.roots, s)
	}
	for range r.ArrayLen(0, math.MaxInt32) {
		a, ok := parseAdmission(&r)
		if last := len(n.admissions) - 1; !ok || n.state(a.root) == nil || last >= 0 && n.admissions[last].compare(a) >= 0 {
			return nil, ErrKnownPeers
		}
		n.admissions = append(n.admissions, a)
	}
	if r.Done() != nil || version != 1 {
		return nil, ErrKnownPeers
	}
	k := new(KnownPeers)
	k.known.Store(&n)
	return k, nil
}

func parseRootState(r *strict.Reader) (s rootState, ok bool) {
	r.Array(4)
	copy(s.root[:], r.Bin(32, 32))
	s.serial = r.Uint()
	copy(s.digest[:], r.Bin(32, 32))
	if !r.Nil() && copy(s.successor[:], r.Bin(32, 32)) > 0 && s.successor == (keys.Fingerprint{}) {
		r.Fail() // nil stands for no successor
	}
	return s, !r.Failed()
}

func parseAdmission(r *strict.Reader) (a admission, ok bool) {
	r.Array(5)
	kind, name, role := r.Uint(), r.Str(0, maxScopeSize), r.Uint()
	copy(a.root[:], r.Bin(32, 32))
	level := r.Uint()
	a.scope = scope{byte(kind), name, Role(role)}
	a.level = Level(level)
	return a, !r.Failed() && kind >= scopeAddress && kind <= scopeClients && role <= uint64(RoleMember) &&
		level >= uint64(FirstUse) && level <= uint64(Verified)
}
