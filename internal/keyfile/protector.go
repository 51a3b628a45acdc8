package keyfile

import (
	"golang.org/x/crypto/argon2"

	"github.com/hopseal/hopseal/internal/strict"
)

// Kinds of protectors.
const (
	KindArgon = "argon2id"
	KindKMS   = "kms"
)

// Bounds of a protector.
const (
	ArgonSaltSize  = 16
	MaxURISize     = 1024
	MaxWrappedSize = 4096
)

// SkipProtector reads past a protector of either kind:
//
//	array(5) [ "argon2id", passes, KiB, lanes, salt bin 16 ]
//	array(3) [ "kms", key URI str, wrapped master key bin ]
func SkipProtector(r *strict.Reader) {
	n := r.ArrayLen(3, 5)
	switch kind := r.Str(3, 8); {
	case n == 5 && kind == KindArgon:
		ReadArgon(r)
	case n == 3 && kind == KindKMS:
		ReadKMS(r)
	default:
		r.Fail()
	}
}

// ReadKMS reads what follows the kind of a protector of a key management service.
func ReadKMS(r *strict.Reader) (uri string, wrapped []byte) {
	return r.Str(1, MaxURISize), r.Bin(1, MaxWrappedSize)
}

// Argon are Argon2id's costs. A file that asks for more than the limits is refused before any memory
// is taken.
type Argon struct {
	Passes, KiB, Lanes uint64
}

// Costs of a new file, and the highest of one that is read.
var (
	ArgonCost   = Argon{3, 64 << 10, 4} // RFC 9106, section 4, second recommended option
	ArgonLimits = Argon{16, 256 << 10, 16}
)

func (p Argon) allowed() bool {
	return p.Passes >= 1 && p.Passes <= ArgonLimits.Passes && p.Lanes >= 1 && p.Lanes <= ArgonLimits.Lanes &&
		p.KiB >= 8*p.Lanes && p.KiB <= ArgonLimits.KiB
}

// Key returns the master key of a passphrase.
func (p Argon) Key(passphrase, salt []byte) []byte {
	return argon2.IDKey(passphrase, salt, uint32(p.Passes), uint32(p.KiB), uint8(p.Lanes), MasterSize)
}

// Append appends the protector.
func (p Argon) Append(dst, salt []byte) []byte {
	dst = strict.AppendStr(strict.AppendArray(dst, 5), KindArgon)
	for _, v := range []uint64{p.Passes, p.KiB, p.Lanes} {
		dst = strict.AppendUint(dst, v)
	}
	return strict.AppendBin(dst, salt)
}

// ReadArgon reads what follows the kind of a protector of a passphrase.
func ReadArgon(r *strict.Reader) (p Argon, salt []byte) {
	p = Argon{r.Uint(), r.Uint(), r.Uint()}
	salt = r.Bin(ArgonSaltSize, ArgonSaltSize)
	if !p.allowed() {
		r.Fail()
	}
	return p, salt
}

// ParseArgon reads a whole protector, and fails for one of another kind.
func ParseArgon(protector []byte) (p Argon, salt []byte, ok bool) {
	r := strict.NewReader(protector)
	if r.ArrayLen(3, 5) != 5 || r.Str(3, 8) != KindArgon {
		return Argon{}, nil, false
	}
	p, salt = ReadArgon(&r)
	return p, salt, r.Done() == nil
}
