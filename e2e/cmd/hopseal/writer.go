//go:build !js

package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// A writer changes a store: this process itself, or the one that has the store open.
type writer interface {
	contents
	Path() string
	Close() error
	doneBy() doneBy
	ClockJump() (from, to time.Time, doubted bool)
	ListedUntil(keystore.KeyRef) time.Time

	Rotate(p keystore.RotationPolicy, chosen bool) (time.Time, []*keystore.KeysetFullError, error) // chosen: by flags
	Add(keystore.KeyRef) (uint32, error)
	Replace(keystore.KeyRef) (uint32, error)
	Promote(keystore.KeyRef) error
	Disable(keystore.KeyRef) error
	Destroy(keystore.KeyRef) error
	Renew() error
	Revoke() error
	Admit(trust.Expected, *keys.PublicIdentity) error
	Forget(trust.Expected, keys.Fingerprint) error
	RevokePeer(*keys.PublicIdentity) error
	Succeed(*trust.Succession) error
	PutSharedKeyset(string, *keys.SharedKeyset) error
	UpdateSharedKeyset(string, *keys.SharedKeyset) error
}

// doneBy is the part of a result that says whether the running service has made the change.
type doneBy struct {
	ByService bool `json:"by_service,omitempty"`
}

func (s doneBy) text(w io.Writer) {
	if s.ByService {
		io.WriteString(w, "done by the service that has the store open\n")
	}
}

// open opens the store for writing, or reaches the process that has it open.
func (c *call) open(ctx context.Context) (writer, error) {
	path, secret, err := c.existingStore(ctx)
	if err != nil {
		return nil, err
	}
	defer c.progress("unlocking " + path)()
	s, err := keystore.Open(ctx, path, secret)
	if errors.Is(err, keystore.ErrInUse) {
		return askService(ctx, path, secret, err)
	}
	if ctx.Err() != nil && err == nil {
		s.Close()
	}
	return &ownStore{s}, interrupted(ctx, err)
}

func askService(ctx context.Context, path string, secret keystore.Secret, inUse error) (writer, error) {
	s, err := keystore.OpenClient(ctx, path, secret)
	if errors.Is(err, keystore.ErrNotServed) {
		err = inUse // which says who has it open, and what to do
	}
	return &servedStore{s, ctx}, interrupted(ctx, err)
}

// ownStore is a store that is open in this process.
type ownStore struct{ *keystore.Store }

func (s *ownStore) doneBy() doneBy { return doneBy{} }

func (s *ownStore) Rotate(p keystore.RotationPolicy, _ bool) (time.Time, []*keystore.KeysetFullError, error) {
	next, err := s.Store.Rotate(p)
	return next, s.Filling(p), err
}

func (s *ownStore) Admit(at trust.Expected, p *keys.PublicIdentity) error {
	return s.KnownPeers().Admit(at, p)
}

func (s *ownStore) Forget(at trust.Expected, root keys.Fingerprint) error {
	return s.KnownPeers().Forget(at, root)
}

func (s *ownStore) RevokePeer(p *keys.PublicIdentity) error {
	return s.KnownPeers().Revoke(p)
}

func (s *ownStore) Succeed(n *trust.Succession) error { return s.KnownPeers().Succeed(n) }

// servedStore is a store that is open in another process. That makes the changes; its file says what
// the store holds.
type servedStore struct {
	*keystore.Client
	ctx context.Context // of the command
}

func (s *servedStore) Close() error   { return nil }
func (s *servedStore) doneBy() doneBy { return doneBy{true} }

func (s *servedStore) Rotate(p keystore.RotationPolicy, chosen bool) (time.Time, []*keystore.KeysetFullError, error) {
	if !chosen {
		return s.Client.Rotate(s.ctx, nil)
	}
	return s.Client.Rotate(s.ctx, &p)
}

func (s *servedStore) Add(ref keystore.KeyRef) (uint32, error) { return s.Client.Add(s.ctx, ref) }
func (s *servedStore) Replace(ref keystore.KeyRef) (uint32, error) {
	return s.Client.Replace(s.ctx, ref)
}
func (s *servedStore) Promote(ref keystore.KeyRef) error { return s.Client.Promote(s.ctx, ref) }
func (s *servedStore) Disable(ref keystore.KeyRef) error { return s.Client.Disable(s.ctx, ref) }
func (s *servedStore) Destroy(ref keystore.KeyRef) error { return s.Client.Destroy(s.ctx, ref) }
func (s *servedStore) Renew() error                      { return s.Client.Renew(s.ctx) }
func (s *servedStore) Revoke() error                     { return s.Client.Revoke(s.ctx) }
func (s *servedStore) Succeed(n *trust.Succession) error { return s.Client.Succeed(s.ctx, n) }

func (s *servedStore) Admit(at trust.Expected, p *keys.PublicIdentity) error {
	return s.Client.Admit(s.ctx, at, p)
}

func (s *servedStore) Forget(at trust.Expected, root keys.Fingerprint) error {
	return s.Client.Forget(s.ctx, at, root)
}

func (s *servedStore) RevokePeer(p *keys.PublicIdentity) error {
	return s.Client.RevokePeer(s.ctx, p)
}

func (s *servedStore) PutSharedKeyset(name string, set *keys.SharedKeyset) error {
	return s.Client.PutSharedKeyset(s.ctx, name, set)
}

func (s *servedStore) UpdateSharedKeyset(name string, set *keys.SharedKeyset) error {
	return s.Client.UpdateSharedKeyset(s.ctx, name, set)
}
