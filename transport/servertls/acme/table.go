//go:build !js

package acme

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"time"

	xacme "golang.org/x/crypto/acme"
)

// A host is one name. At most one flight at a time looks for or orders one of its
// certificates.
type host struct {
	byKind [2]slot // ECDSA, RSA
	flight *flight // nil if none is under way
}

// A slot holds one certificate and the state of its renewal.
type slot struct {
	cert   *tls.Certificate // served to clients; nil if there is none
	issued time.Time        // when the authority gave it to this process; zero if it comes from the cache
	renew  time.Time        // when to renew it, by the wall clock

	wanted   bool // Warm asked for it: retry without waiting for a client
	failures int
	cause    error     // of the last failure; nil after a success
	retry    time.Time // when the next order is allowed
	nextLook time.Time // when to look into the cache next, if that is before retry
}

// A flight is a look into the cache, and the order that may follow. It does not end when
// those who wait for it give up.
type flight struct {
	key    certKey
	orders bool          // false if it only looks into the cache
	done   chan struct{} // closed when cert and err are set
	cert   *tls.Certificate
	err    error
}

func (h *host) slot(key certKey) *slot {
	if key.rsa {
		return &h.byKind[1]
	}
	return &h.byKind[0]
}

// shows returns the certificate to serve, or nil. A certificate that the authority gave to
// this process is served for its whole life, measured from its arrival, whatever this
// machine's clock says: only the clients' clocks matter.
func (s *slot) shows(now time.Time) *tls.Certificate {
	if s.cert == nil || now.After(s.cert.Leaf.NotAfter) && (s.issued.IsZero() || now.Sub(s.issued) > life(s.cert)) {
		return nil
	}
	return s.cert
}

// install makes cert the slot's certificate.
func (s *slot) install(cert *tls.Certificate, issued time.Time) {
	s.cert, s.issued, s.renew = cert, issued, renewalOf(cert)
	s.failures, s.cause, s.retry = 0, nil, time.Time{}
	if !issued.IsZero() { // a wrong clock must not cause one order after the other
		s.retry = issued.Add(life(cert) / 6)
	}
}

// renewalOf returns when to renew: shortly before 30 days, or a third of the life if that
// is less, remain, because that is when operators are warned. Some randomness keeps nodes
// that share a cache from renewing at the same moment.
func renewalOf(cert *tls.Certificate) time.Time {
	before := min(life(cert)/3, 30*24*time.Hour)
	return cert.Leaf.NotAfter.Add(-before - before/50 - rand.N(before/50+1))
}

const (
	// After a failure that cost no order, the next try comes after tryFirst, and then after
	// twice as long each time, up to tryLast. After a failure that cost an order the other
	// two apply, because Let's Encrypt allows five failed checks of a name in an hour. They
	// also apply to renewals, which are not urgent.
	tryFirst, tryLast     = 5 * time.Second, 5 * time.Minute
	orderFirst, orderLast = time.Minute, time.Hour
)

// fail records why there is no new certificate, and returns the time until the next try.
func (s *slot) fail(now time.Time, err error) time.Duration {
	pause := backoff(tryFirst, tryLast, s.failures)
	var order *orderError
	if errors.As(err, &order) && order.counted || s.shows(now) != nil {
		pause = backoff(orderFirst, orderLast, s.failures)
	}
	pause += rand.N(pause/5 + 1)
	var problem *xacme.Error
	if errors.As(err, &problem) {
		pause = max(pause, parseRetryAfter(problem.Header))
	}
	s.failures++
	s.cause, s.retry, s.nextLook = err, now.Add(pause), now.Add(tryFirst)
	return pause
}

// errNotYet means that the cache has nothing and that the next order is not due.
var errNotYet = errors.New("it is too early for another order")

// find returns the certificate or error that a handshake gets at once, or else the flight
// to wait for.
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
	case s.cause != nil && now.Before(s.retry) && now.Before(s.nextLook):
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
	m.flights.Go(func() { m.runFlight(f, old) })
	return f, nil
}

func (m *Manager) runFlight(f *flight, old *tls.Certificate) {
	cert, issued, err := m.obtain(f, old)
	m.finishFlight(f, cert, issued, err)
}

// finishFlight records the result of a flight, and reports it.
func (m *Manager) finishFlight(f *flight, cert *tls.Certificate, issued bool, err error) {
	m.mu.Lock()
	h := m.host(f.key.host)
	s := h.slot(f.key)
	now, retry := time.Now(), time.Duration(0)
	switch {
	case err != nil && !f.orders: // a failed look does not change when to order
		s.nextLook = now.Add(tryFirst)
		f.err = &missingError{key: f.key, cause: err, retry: s.retry.Sub(now)}
		if err == errNotYet && s.cause != nil {
			f.err = s.missing(f.key, now)
		}
	case err != nil:
		retry = s.fail(now, err)
		f.err = &missingError{key: f.key, cause: err, retry: retry}
	case issued:
		s.install(cert, now)
	default:
		s.install(cert, time.Time{})
	}
	f.cert = cert
	h.flight = nil
	shown := s.shows(now)
	if isUnknownName(err) { // the name is not served any more
		delete(m.hosts, f.key.host)
	}
	// Decide before done is closed: whoever waits for it may call Close at once.
	report := m.ctx.Err() == nil && (err != nil && f.orders || issued) && !isUnknownName(err)
	m.mu.Unlock()
	close(f.done)
	if report {
		m.reportOrder(f.key, shown, retry, err)
	}
	m.wake()
}

// certificates returns all certificates.
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
