package trust

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// ErrVoucher is returned for bytes that are not a voucher of the authority.
var ErrVoucher = errors.New("keys: not a valid voucher of this authority")

// maxVoucherSize is how large a voucher can be, in bytes.
const maxVoucherSize = 2048

// Vouch signs, with the authority's primary signing key, that the identity with the given root is the
// one to expect at an address, in a room or as a client, until expires. The voucher has at most 2 KB
// and is public. Verifiers take it in with [Authority.Add].
//
//	voucher   = array(2) [ statement bin, signature bin 64 ]
//	statement = array(9) [ version=1, authority bin 32, signing key id bin 32, address str, room str,
//	                       role, root's fingerprint bin 32, issued s, expires s ]
func Vouch(authority *keys.Identity, at Expected, root keys.Fingerprint, expires time.Time) ([]byte, error) {
	now := time.Now()
	switch {
	case authority == nil || empty(authority.Public()):
		return nil, missing.Arg("Identity")
	case at.Address == "" && at.Room == "" && at.Role != RoleClient:
		return nil, errors.New("keys: a voucher is for an address, a room, or clients")
	case len(at.Address) > maxScopeSize || len(at.Room) > maxScopeSize:
		return nil, fmt.Errorf("keys: an address or room in a voucher has at most %d bytes", maxScopeSize)
	case !utf8.ValidString(at.Address) || !utf8.ValidString(at.Room):
		return nil, errors.New("keys: an address or room in a voucher is UTF-8")
	case !expires.After(now):
		return nil, errors.New("keys: the voucher would have expired")
	}
	key, signer := authority.Signing()
	v := voucher{authority: authority.Fingerprint(), key: key, at: at, root: root,
		issued: uint64(now.Unix()), expires: uint64(expires.Unix())}
	v.at.Fingerprint = keys.Fingerprint{}
	statement := v.append(nil)
	sig, err := signer.Sign(label.Voucher.With(statement))
	if err != nil {
		return nil, fmt.Errorf("keys: the authority does not sign: %w", err)
	}
	return strict.AppendBin(strict.AppendBin(strict.AppendArray(nil, 2), statement), sig), nil
}

// voucher is what an authority signs: the identity with this root is the one to expect at at.
type voucher struct {
	authority       keys.Fingerprint
	key             keys.SigningKeyID
	at              Expected // without a fingerprint
	root            keys.Fingerprint
	issued, expires uint64
}

func (v voucher) append(dst []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 9), 1)
	dst = strict.AppendBin(dst, v.authority[:])
	dst = strict.AppendBin(dst, v.key[:])
	dst = strict.AppendStr(dst, v.at.Address)
	dst = strict.AppendStr(dst, v.at.Room)
	dst = strict.AppendUint(dst, uint64(v.at.Role))
	dst = strict.AppendBin(dst, v.root[:])
	return strict.AppendUint(strict.AppendUint(dst, v.issued), v.expires)
}

func parseVoucher(b []byte) (v voucher, ok bool) {
	r := strict.NewReader(b)
	r.Array(9)
	version := r.Uint()
	copy(v.authority[:], r.Bin(32, 32))
	copy(v.key[:], r.Bin(32, 32))
	v.at.Address, v.at.Room = r.Str(0, maxScopeSize), r.Str(0, maxScopeSize)
	role := r.Uint()
	copy(v.root[:], r.Bin(32, 32))
	v.issued, v.expires = r.Uint(), r.Uint()
	v.at.Role = Role(min(role, uint64(RoleMember)+1))
	ok = r.Done() == nil && version == 1 && v.at.Role <= RoleMember && v.issued < v.expires && v.expires < unixtime.Limit
	return v, ok
}

func readVoucher(b []byte) (v voucher, sig []byte, err error) {
	defer version.Later(&err, b, 1)
	if len(b) > 2*maxVoucherSize {
		return v, nil, ErrVoucher
	}
	r := strict.NewReader(bytes.Clone(b))
	r.Array(2)
	statement := r.Bin(1, 2*maxVoucherSize)
	sig = r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	v, ok := parseVoucher(statement)
	if r.Done() != nil || !ok {
		return v, nil, ErrVoucher
	}
	return v, sig, nil
}

// timeError returns an error for a voucher that does not count now. It wraps because and names the
// voucher's times.
func (v *voucher) timeError(because *Error, now time.Time) error {
	e := &timeError{because, fmt.Sprintf("the voucher for peer %s expired at %s: its authority has to issue another one; check this clock", because.Got, unixtime.Text(unixtime.Time(v.expires)))}
	if now.Unix() < int64(v.expires) {
		because.Reason = NotYetValid
		e.text = fmt.Sprintf("the voucher for peer %s is of %s, which is still to come by this clock: check both clocks", because.Got, unixtime.Text(unixtime.Time(v.issued)))
	}
	return e
}
