package vault

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// Everything that is sealed for a store has this form:
//
//	array(3) [ version=1, id of the pair of keys bin 32, sealed bin ]
//
// The AEAD of that pair seals it. The associated data is as below, followed by the id of the
// pair. So nothing opens anywhere but where it was stored.
//
//	of      associated data                                  plaintext
//	a head  label ‖ key of the record 32 ‖ id 32             the resume secret of the id, 32 bytes; of a client's name, nothing
//	a part  label ‖ key of the record 32 ‖ id of the part 32 messages, see engine.Apart
//	record  label ‖ key of the record 32 ‖ version u64       array(3) [ expires uint ms, array of its parts, the engine's state bin ]
const sealedVersion = 1

func headData(key, id [32]byte) []byte { return label.SessionStoreHead.With(key[:], id[:]) }
func partData(key, id [32]byte) []byte { return label.SessionStorePart.With(key[:], id[:]) }

func recordData(key [32]byte, version uint64) []byte {
	return label.SessionStoreRecord.With(key[:], binary.BigEndian.AppendUint64(nil, version))
}

// errSealed says that what a store returned is unusable: it was sealed with other keys or for
// another place, or it has expired. The difference matters only when debugging.
var errSealed = errors.New("e2e: a stored session does not open")

// seal seals the plaintext and clears it.
func (v Vault) seal(plain, associated []byte) ([]byte, error) {
	defer clear(plain)
	pair := v.Keys.Primary()
	if pair == nil {
		return nil, errors.New("e2e: Config.StoreKeys is empty: give it a key, see keys.GenerateSharedKeyset")
	}
	id := pair.ID()
	sealed, err := pair.Seal(nil, plain, append(associated, id[:]...))
	if err != nil {
		return nil, err
	}
	out := strict.AppendUint(strict.AppendArray(nil, 3), sealedVersion)
	return strict.AppendBin(strict.AppendBin(out, id[:]), sealed), nil
}

func (v Vault) open(data, associated []byte) (plain []byte, err error) {
	in := strict.NewReader(data)
	in.Array(3)
	version := in.Uint()
	id := in.Bin(32, 32)
	sealed := in.Bin(1, len(data))
	if in.Done() != nil || version != sealedVersion {
		return nil, errSealed
	}
	pair, ok := v.Keys.Key(keys.SharedKeyID(id))
	if !ok || pair.Stage() == keys.StageArchived {
		return nil, errSealed
	}
	if plain, err = pair.Open(nil, sealed, append(associated, id...)); err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// contents is the plaintext of a record.
type contents struct {
	expires time.Time
	parts   []part
	state   []byte
}

// sealRecord fills in the Data, Parts and Expires of a record. It clears the state.
func (v Vault) sealRecord(r *sessionstore.Record, c contents) (err error) {
	plain := strict.AppendUint(strict.AppendArray(nil, 3), uint64(max(c.expires.UnixMilli(), 0)))
	plain = strict.AppendBin(appendParts(plain, c.parts), c.state)
	clear(c.state)
	r.Expires, r.Parts = c.expires, partIDs(c.parts)
	r.Data, err = v.seal(plain, recordData(r.Key, r.Version))
	return err
}

func (v Vault) openRecord(r sessionstore.Record) (c contents, err error) {
	plain, err := v.open(r.Data, recordData(r.Key, r.Version))
	if err != nil {
		return c, err
	}
	in := strict.NewReader(plain)
	in.Array(3)
	ms := in.Uint()
	c.parts = readParts(&in)
	c.state = in.Bin(1, len(plain))
	if in.Done() != nil || uint64(time.Now().UnixMilli()) >= ms {
		return c, errSealed
	}
	c.expires = time.UnixMilli(int64(ms))
	return c, nil
}
