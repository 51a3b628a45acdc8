//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// obtain looks into the cache, and orders if the cache has nothing better than old.
func (m *Manager) obtain(f *flight, old *tls.Certificate) (cert *tls.Certificate, issued bool, err error) {
	key, ctx := f.key, m.ctx
	if old != nil { // the handshake that asked for a first certificate has checked this
		if err := m.stillAllowed(ctx, key.host); err != nil {
			return nil, false, err
		}
	}
	look := func(ctx context.Context) (*tls.Certificate, error) { return m.lookUp(ctx, key, old) }
	if cert, err := look(ctx); cert != nil || err != nil {
		return cert, false, err
	}
	if !f.orders {
		return nil, false, errNotYet
	}
	if err := m.store.flush(ctx); err != nil {
		return nil, false, fmt.Errorf("%w, and %w", err, errUnsaved)
	}
	select { // wait before taking the lease, which would block other nodes, and before the time counts
	case m.orders <- struct{}{}:
		defer func() { <-m.orders }()
	case <-m.ctx.Done():
		return nil, false, errClosed
	}
	ctx, cancel := withTimeout(ctx, orderTime, "the authority")
	defer cancel()
	release, cert, err := m.acquireLease(ctx, key.host, look)
	if release == nil {
		return cert, false, err
	}
	defer release()
	if cert, err := look(ctx); cert != nil || err != nil {
		return cert, false, err
	}
	return m.orderAndSave(ctx, key, old)
}

func (m *Manager) stillAllowed(ctx context.Context, name string) error {
	ctx, cancel := withTimeout(ctx, handshakeTime, "it")
	defer cancel()
	return m.allowed(ctx, name)
}

func (m *Manager) orderAndSave(ctx context.Context, key certKey, old *tls.Certificate) (cert *tls.Certificate, issued bool, err error) {
	if old == nil { // an expired one still has the key that clients may have pinned
		old, _ = m.cached(ctx, key)
	}
	cert, err = m.issuer.order(ctx, key, old)
	if err != nil { // another node may have got one nevertheless
		if cert, err := m.lookUp(context.WithoutCancel(ctx), key, old); cert != nil && err == nil {
			return cert, false, nil
		}
		return nil, false, err
	}
	text, err := encodeCert(cert)
	if err != nil {
		return nil, false, err
	}
	m.store.save(ctx, key.String(), text)
	if now := time.Now(); now.After(cert.Leaf.NotAfter) || now.Before(cert.Leaf.NotBefore) {
		m.opts.Logger.Error("acme: the authority issues certificates that are not valid by this machine's clock: check it", "name", key.host,
			"not_before", cert.Leaf.NotBefore, "not_after", cert.Leaf.NotAfter, "now", now)
	}
	return cert, true, nil
}

// cached returns the certificate in the cache, or nil if there is none that can be used.
func (m *Manager) cached(ctx context.Context, key certKey) (*tls.Certificate, error) {
	text := m.store.pending(key.String())
	if text == nil {
		var err error
		if text, err = m.store.get(ctx, key.String()); text == nil {
			return nil, err
		}
	}
	cert, err := decodeCert(text)
	if err == nil {
		err = checkFor(key, cert)
	}
	if err != nil {
		m.opts.Logger.Warn("acme: what the cache has for a name is of no use and will be replaced", "name", key.host, "error", err)
		return nil, nil
	}
	return cert, nil
}

// lookUp returns the certificate in the cache if it is valid and ends later than old.
func (m *Manager) lookUp(ctx context.Context, key certKey, old *tls.Certificate) (*tls.Certificate, error) {
	cert, err := m.cached(ctx, key)
	if cert == nil || time.Now().After(cert.Leaf.NotAfter) || old != nil && !cert.Leaf.NotAfter.After(old.Leaf.NotAfter) {
		return nil, err
	}
	return cert, nil
}
