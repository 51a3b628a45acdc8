package keystore

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// ErrBackup is returned by [Restore] for bytes that are not the contents of a
// store.
var ErrBackup = errors.New("keys: not the contents of a store")

// MarshalCleartext returns everything that the store holds, secret keys above all,
// unencrypted: for a backup that shall survive the passphrase or the KMS. A copy of
// the store's file is the better backup otherwise.
func (s *Store) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.freeze()
	f.generation = s.contents.generation
	return f.append(nil)
}

// MarshalCleartext is [Store.MarshalCleartext].
func (r *Replica) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.contents.freeze(r.contents.known.Bytes())
	f.generation = r.contents.generation
	return f.append(nil)
}

// Restore is [Create] for what [Store.MarshalCleartext] returned. It
// returns [ErrBackup] for anything else. AES256_GCM keys open what they sealed, and
// seal no more, see [keys.ErrSealLimit]: nobody knows what they sealed after the backup.
// Rotate them. Peers that have seen a later statement than the backup's refuse the identity as rolled
// back until you call [Store.Renew].
func Restore(ctx context.Context, path string, secret Secret, cleartext []byte, _ insecurecleartext.Token) (*Store, error) {
	f, err := parseFrozen(cleartext)
	if err != nil {
		return nil, ErrBackup
	}
	for i, k := range f.shared {
		f.shared[i].set = sharedKeysets.Spent(k.set, sealLimit)
	}
	return createStore(ctx, path, secret, f.thaw())
}
