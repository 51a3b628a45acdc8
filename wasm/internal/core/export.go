package core

import (
	"bytes"
	"crypto/rand"
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// minPassphrase is how many bytes a passphrase has. Natively its strength is estimated, which takes
// more room than the rest of the core's keys.
const minPassphrase = 16

var errFile = &Error{Code: "invalid", Message: "the bytes are not what export() gave, nor the file of a store, or they were changed"}

// accountExport: identity handle, known peers handle, passphrase text → bytes: the file of a store
// of keys/keystore, which opens there too.
func (c *Core) accountExport(r *request, out []byte) ([]byte, error) {
	identity, peers, passphrase := required[*keys.Identity](r), required[*trust.KnownPeers](r), r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	if len(passphrase) < minPassphrase {
		return nil, &Error{Code: "bad-argument", Message: "weak passphrase: choose five or more random words, 16 characters at least"}
	}
	content, err := appendExport(nil, identity, peers)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	salt := make([]byte, keyfile.ArgonSaltSize)
	rand.Read(salt)
	master := keyfile.ArgonCost.Key(passphrase, salt)
	defer clear(master)
	return appendBytes(out, keyfile.Seal(content, master, keyfile.ArgonCost.Append(nil, salt))), nil
}

// appendExport appends the contents of a store that has no shared keysets and begins now:
//
//	array(6) [ version=1, generation=1, identity bin, array(0), known peers bin, tally ]
//	tally = array(8) [ now s, "", 0, 0, 0, 0, 0, array of array(2) [ since s, listed until s ] ]
func appendExport(dst []byte, identity *keys.Identity, peers *trust.KnownPeers) ([]byte, error) {
	secret, err := identity.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	dst = strict.AppendUint(strict.AppendUint(strict.AppendArray(dst, 6), 1), 1)
	dst = strict.AppendBin(strict.AppendArray(strict.AppendBin(dst, secret), 0), peers.Bytes())
	dst = strict.AppendStr(appendSeconds(strict.AppendArray(dst, 8), time.Now()), "")
	for range 5 {
		dst = strict.AppendUint(dst, 0)
	}
	held := identity.Keys()
	dst = strict.AppendArray(dst, len(held))
	for _, k := range held {
		listed := time.Unix(0, 0)
		if k.Use == keys.UseSealing && k.Stage == keys.StagePrimary && !identity.Public().Revoked() {
			listed = identity.Public().Expires()
		}
		dst = appendSeconds(appendSeconds(strict.AppendArray(dst, 2), k.Created), listed)
	}
	return dst, nil
}

func appendSeconds(dst []byte, t time.Time) []byte {
	return strict.AppendUint(dst, uint64(max(t.Unix(), 0)))
}

// accountImport: bytes, passphrase text → identity handle, public identity, known peers handle.
func (c *Core) accountImport(r *request, out []byte) ([]byte, error) {
	file, passphrase := r.bytes(), r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	content, err := openExport(file, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	identity, peers, err := parseExport(content)
	if err != nil {
		return nil, err
	}
	if out, err = c.appendIdentity(out, identity); err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, peers)
}

func openExport(file, passphrase []byte) ([]byte, error) {
	protector, size, ok := keyfile.Head(file)
	if !ok || len(file) > keyfile.MaxSize {
		return nil, errFile
	}
	cost, salt, ok := keyfile.ParseArgon(protector)
	if !ok {
		return nil, &Error{Code: "bad-argument", Message: "a KMS key protects this store, and no passphrase: a page cannot open it"}
	}
	if most := keyfile.ArgonCost; cost.Passes > most.Passes || cost.KiB > most.KiB {
		return nil, &Error{Code: "invalid", Message: "this file asks for more time or memory than a page gives to a passphrase"}
	}
	master := cost.Key(passphrase, salt)
	defer clear(master)
	content, err := keyfile.Open(file, size, master)
	if errors.Is(err, keyfile.ErrMaster) {
		return nil, &Error{Code: "wrong-passphrase", Message: "the passphrase is another one, or the file's first bytes were changed"}
	}
	if err != nil {
		return nil, errFile
	}
	return content, nil
}

func parseExport(b []byte) (*keys.Identity, *trust.KnownPeers, error) {
	r := strict.NewReader(b)
	r.Array(6)
	version := r.Uint()
	r.Uint()
	secret := bytes.Clone(r.Bin(1, 1<<20))
	if r.ArrayLen(0, len(b)) > 0 {
		return nil, nil, &Error{Code: "bad-argument", Message: "this store holds shared keysets, for which an account has no place"}
	}
	known := r.Bin(1, len(b))
	skipTally(&r, len(b))
	if r.Done() != nil || version != 1 {
		return nil, nil, errFile
	}
	identity, err := keys.ParseCleartextIdentity(secret, insecurecleartext.Token{})
	if err != nil {
		return nil, nil, errFile
	}
	peers, err := trust.ParseKnownPeers(known)
	if err != nil {
		return nil, nil, errFile
	}
	return identity, peers, nil
}

// skipTally reads past what a store counts of time: a page's keys do not age by it.
func skipTally(r *strict.Reader, most int) {
	r.Array(8)
	r.Uint()
	r.Str(0, most)
	for range 5 {
		r.Uint()
	}
	for range r.ArrayLen(0, most) {
		r.Array(2)
		r.Uint()
		r.Uint()
	}
}
