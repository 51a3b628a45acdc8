//go:build !js

package acme

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"time"

	xacme "golang.org/x/crypto/acme"
)

// A host is one name. Of its certificates one at a time is looked for or ordered.
type host struct {
	byKind [2]slot // ECDSA, RSA
	flight *flight // nil if none is under way
}

// A slot is the place of one certificate.
type slot struct {
	cert   *tls.Certificate // that is shown; nil if there is none
	issued time.Time        // when this process got it from the authority; zero if from the cache
	renew  time.Time        // when the next one is due, by the wall clock

	wanted   bool // it is tried again without a client that asks
	failures int
	cause    error     // of the last failure; nil after a success
	retry    time.Time // when the next try is allowed
	look     time.Time // when the next look into the cache is, before that
}

// A flight is a look into the cache, and the order that may follow. It belongs to nobody
// who waits for it.
type flight struct {
	key    certKey
	orders bool          // or only looks into the cache
	done   chan struct{} // closed when what follows is set
	cert   *tls.Certificate
	err    error
}

func (h *host) slot(key certKey) *slot {
	if key.rsa {
		return &h.byKind[1]
	}
	return &h.byKind[0]
}

// shows returns the certificate for clients, nil if there is none. One that came from the
// authority is shown for as long as it was made to last, whatever this machine's clock
// says: the clients' clocks count.
func (s *slot) shows(now time.Time) *tls.Certificate {
	if s.cert == nil || now.After(s.cert.Leaf.NotAfter) && (s.issued.IsZero() || now.Sub(s.issued) > life(s.cert)) {
		return nil
	}
	return s.cert
}

// take puts a certificate in its place.
func (s *slot) take(cert *tls.Certificate, issued time.Time) {
	s.cert, s.issued, s.renew = cert, issued, renewalOf(cert)
	s.failures, s.cause, s.retry = 0, nil, time.Time{}
	if !issued.IsZero() { // a wrong clock must not order again and again
		s.retry = issued.Add(life(cert) / 6)
	}
}

// renewalOf returns when to renew: somewhat more than 30 days before the end, which is when
// somebody is warned, or than a third of the life if that is less. Nodes that share a cache
// do not all begin at the same moment.
func renewalOf(cert *tls.Certificate) time.Time {
	before := min(life(cert)/3, 30*24*time.Hour)
	return cert.Leaf.NotAfter.Add(-before - before/50 - rand.N(before/50+1))
}

const (
	// After a failure that cost no order the next try comes after tryFirst, and later
	// after each further one, up to tryLast. The other two count after one that did,
	// since Let's Encrypt allows five failed checks of a name in an hour, and for
	// renewals, which have time.
	tryFirst, tryLast     = 5 * time.Second, 5 * time.Minute
	orderFirst, orderLast = time.Minute, time.Hour
)

// fail remembers why there is no new certificate, and returns the time until the next
// try.
func (s *slot) fail(now time.Time, err error) time.Duration {
	pause := doubled(tryFirst, tryLast, s.failures)
	var order *orderError
	if errors.As(err, &order) && order.counted || s.shows(now) != nil {
		pause = doubled(orderFirst, orderLast, s.failures)
	}
	pause += rand.N(pause/5 + 1)
	var problem *xacme.Error
	if errors.As(err, &problem) {
		pause = max(pause, parseRetryAfter(problem.Header))
	}
	s.failures++
	s.cause, s.retry, s.look = err, now.Add(pause), now.Add(tryFirst)
	return pause
}

// errNotYet: the cache has nothing, and the next order is not due.
var errNotYet = errors.New("it is too early for another order")

// find returns what a handshake gets at once, or the flight to wait for.
func (m *Manager) find(key certKey) (cert *tls.Certificate, f *flight, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	h := m.host(key.host)
	s := h.slot(key)
	switch cert := s.shows(now); {
	case cert != nil:
		return cert, nil, nil
	case h.flight != nil:
		return nil, h.flight, nil
	case s.cause != nil && now.Before(s.retry) && now.Before(s.look):
		return nil, nil, s.missing(key, now)
	}
	f, err = m.start(h, key, s.cause == nil || !now.Before(s.retry))
	return nil, f, err
}

func (s *slot) missing(key certKey, now time.Time) error {
	return &missingError{key: key, cause: s.cause, retry: s.retry.Sub(now)}
}

func (m *Manager) host(name string) *host {
	h := m.hosts[name]
	if h == nil {
		h = new(host)
		m.hosts[name] = h
	}
	return h
}

// start begins a flight. The caller holds m.mu.
func (m *Manager) start(h *host, key certKey, orders bool) (*flight, error) {
	if m.ctx.Err() != nil {
		return nil, errClosed
	}
	f := &flight{key: key, orders: orders, done: make(chan struct{})}
	h.flight = f
	old := h.slot(key).cert
	m.flights.Go(func() { m.fly(f, old) })
	return f, nil
}

func (m *Manager) fly(f *flight, old *tls.Certificate) {
	cert, issued, err := m.obtain(f, old)
	m.land(f, cert, issued, err)
}

// land puts down what a flight brought, and tells.
func (m *Manager) land(f *flight, cert *tls.Certificate, issued bool, err error) {
	m.mu.Lock()
	h := m.host(f.key.host)
	s := h.slot(f.key)
	now, retry := time.Now(), time.Duration(0)
	switch {
	case err != nil && !f.orders: // whatever it is, it moves no order
		s.look = now.Add(tryFirst)
		f.err = &missingError{key: f.key, cause: err, retry: s.retry.Sub(now)}
		if err == errNotYet && s.cause != nil {
			f.err = s.missing(f.key, now)
		}
	case err != nil:
		retry = s.fail(now, err)
		f.err = &missingError{key: f.key, cause: err, retry: retry}
	case issued:
		s.take(cert, now)
	default:
		s.take(cert, time.Time{})
	}
	f.cert = cert
	h.flight = nil
	shown := s.shows(now)
	if unknown(err) { // it is not served any more
		delete(m.hosts, f.key.host)
	}
	// Decided here, since whoever waits for done may call Close at once.
	telling := m.ctx.Err() == nil && (err != nil && f.orders || issued) && !unknown(err)
	m.mu.Unlock()
	close(f.done)
	if telling {
		m.tellLanding(f.key, shown, retry, err)
	}
	m.wake()
}

// certificates returns all that are shown now.
func (m *Manager) certificates() (out []*tls.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.hosts {
		for i := range h.byKind {
			if h.byKind[i].cert != nil {
				out = append(out, h.byKind[i].cert)
			}
		}
	}
	return out
}
