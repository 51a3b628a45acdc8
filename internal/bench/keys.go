package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

func keyRows(e effort) ([]row, error) {
	var rows []row
	for _, measure := range []func(effort) (row, error){openStore, verifyNew, verifyAgain, livePrimary} {
		r, err := measure(e)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

var passphrase = []byte("staple gravel otter moonlit canyon banjo")

func openStore(e effort) (row, error) {
	dir, err := os.MkdirTemp("", "hopseal-bench")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	path, secret, ctx := filepath.Join(dir, "store"), keystore.Passphrase(passphrase), context.Background()
	if err := makeStore(ctx, path, secret); err != nil {
		return row{}, err
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	var f failed
	r := comparison{rounds: e.stores, calls: 1, prepare: runtime.GC,
		a: func(int) {
			s, err := keystore.Open(ctx, path, secret)
			if f.check(err); err == nil {
				f.check(s.Close())
			}
		},
		b: func(int) { argon2.IDKey(passphrase, salt, 3, 64<<10, 4, 32) },
	}.run()
	r.What, r.Against, r.Goal, r.Met = "open and close a store", "its Argon2id", "difference <= 5 ms", r.Difference <= 5e6
	return r, f.err
}

func makeStore(ctx context.Context, path string, secret keystore.Secret) error {
	id, err := keys.GenerateIdentity("bench")
	if err != nil {
		return err
	}
	s, err := keystore.Create(ctx, path, secret, id)
	if err != nil {
		return err
	}
	shared, err := keys.GenerateSharedKeyset()
	if err == nil {
		err = s.PutSharedKeyset("room", shared)
	}
	if err != nil {
		s.Close()
		return err
	}
	return s.Close()
}

// statement is a PublicIdentity in the parts that its primitives work on.
type statement struct{ raw, root, signed, signature, sealing []byte }

func newStatement() (s statement, err error) {
	id, err := keys.GenerateIdentity("bench")
	if err != nil {
		return s, err
	}
	p := id.Public()
	s.raw, s.root = p.Bytes(), p.RootKey()
	r := strict.NewReader(s.raw)
	r.Array(2)
	body := r.Bin(1, keys.MaxPublicSize)
	s.signed, s.signature = label.Identity.With(body), r.Bin(64, 64)
	if err := r.Done(); err != nil {
		return s, err
	}
	s.sealing, err = sealingKey(body)
	return s, err
}

// sealingKey is the last key of a new identity.
func sealingKey(body []byte) (public []byte, err error) {
	r := strict.NewReader(body)
	r.Array(7)
	r.Uint()
	r.Str(1, keys.MaxNameSize)
	r.Bin(32, 32)
	for range 3 { // serial, issued, expires
		r.Uint()
	}
	for range r.ArrayLen(2, 2) {
		r.Array(5)
		r.Uint()
		r.Uint()
		public = r.Bin(32, 1216)
		r.Uint()
		r.Uint()
	}
	return public, r.Done()
}

// primitives is the least that verifying a statement takes.
func (s statement) primitives() error {
	if !ed25519.Verify(s.root, s.signed, s.signature) {
		return keys.ErrPublicIdentity
	}
	_, err := hpke.MLKEM768X25519().NewPublicKey(s.sealing)
	return err
}

// verifyNew takes a statement a round.
func verifyNew(e effort) (row, error) {
	statements := make([]statement, e.statements)
	var f failed
	for i := range statements {
		var err error
		statements[i], err = newStatement()
		f.check(err)
	}
	if f.err != nil {
		return row{}, f.err
	}
	r := comparison{rounds: e.statements, calls: 1,
		a: func(i int) { _, err := keys.ParsePublic(statements[i].raw); f.check(err) },
		b: func(i int) { f.check(statements[i].primitives()) },
	}.run()
	r.What, r.Against, r.Goal, r.Met = "verify a PublicIdentity", "Ed25519 + X-Wing key check", "ratio <= 1.2", r.Ratio <= 1.2
	return r, f.err
}

func verifyAgain(e effort) (row, error) {
	s, err := newStatement()
	if err != nil {
		return row{}, err
	}
	var f failed
	var cache keys.PublicCache
	r := comparison{rounds: e.batches, calls: e.calls / 100,
		a: func(int) { _, err := cache.Parse(s.raw); f.check(err) },
		b: func(int) { f.check(s.primitives()) },
	}.run()
	r.What, r.Against, r.Goal, r.Met = "the same bytes again", "Ed25519 + X-Wing key check", "time <= 1 µs", r.Time <= 1e3
	return r, f.err
}

// sink keeps what is read, so that the reading stays.
var sink *keys.SharedKey

func livePrimary(e effort) (row, error) {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		return row{}, err
	}
	var pointer atomic.Pointer[keys.SharedKey]
	pointer.Store(shared.Primary())
	r := comparison{rounds: e.batches, calls: e.calls,
		a: func(int) { sink = shared.Primary() },
		b: func(int) { sink = pointer.Load() },
	}.run()
	r.What, r.Against, r.Goal = "read the live shared primary", "an atomic pointer", "time <= 5 ns, 0 allocations"
	r.Met = r.Time <= 5 && r.Allocations == 0
	return r, nil
}
