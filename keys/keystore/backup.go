package keystore

import (
	"context"
	"errors"

	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// ErrBackup is returned by [Restore] for bytes that are not the contents of a
// store.
var ErrBackup = errors.New("keys: not the contents of a store")

// MarshalCleartext returns everything that the store holds, above all secret keys, unencrypted. It is
// for a backup that must survive the loss of the passphrase or the KMS. For any other backup copy the
// file.
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

// Restore is [Create] for what [Store.MarshalCleartext] returned. For anything else it returns
// [ErrBackup]. AES256_GCM keys open what they sealed and seal nothing more, see [keys.ErrSealLimit]:
// nobody knows how much they sealed after the backup. Rotate them. Call [Store.Renew] too: until then
// peers that have seen a later statement than the backup's refuse the identity as rolled back.
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
