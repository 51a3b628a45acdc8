//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/servertls"
)

const (
	// handshakeTime is how long a handshake waits for a certificate.
	handshakeTime = 10 * time.Second

	// orderTime bounds an order and the reads of the cache around it. It counts from when
	// the order has one of maxOrders turns.
	orderTime = 5 * time.Minute

	maxWaiting  = 256 // handshakes that wait for a certificate
	maxOrders   = 4   // orders under way, of all names
	maxPolicies = 64  // calls of HostPolicy under way
)

// A Manager holds a server's certificates and gets new ones. Many goroutines may use it at
// once. Close ends it.
type Manager struct {
	opts    Options
	names   map[string]bool // Options.Hosts in ASCII; nil with a HostPolicy
	store   *store
	answers *answers
	issuer  *issuer

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	flights sync.WaitGroup
	kick    chan struct{} // holds an element when run has to look at once

	waiting, orders, policies chan struct{} // semaphores for maxWaiting, maxOrders and maxPolicies

	events notify.Notifier[servertls.Event]

	mu    sync.Mutex // guards what follows; nobody waits for anything while holding it
	hosts map[string]*host
}

// New returns a manager. Give its GetCertificate and Certificates to servertls.Options. New
// does not contact the authority yet.
func New(opts Options) (*Manager, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	m := &Manager{opts: opts.withDefaults(), hosts: make(map[string]*host), kick: make(chan struct{}, 1),
		waiting: make(chan struct{}, maxWaiting), orders: make(chan struct{}, maxOrders), policies: make(chan struct{}, maxPolicies)}
	for _, name := range opts.Hosts {
		if m.names == nil {
			m.names = make(map[string]bool)
		}
		ascii, _ := fullName(name) // check has verified it
		m.names[ascii] = true
	}
	m.events = notify.Notifier[servertls.Event]{Name: "acme: Options.Notify", Call: m.notify,
		Note: func(e *servertls.Event, missed int) { e.Missed = missed }}
	m.store = newStore(m.opts.Cache, m.emit)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.answers = newAnswers(m.ctx, m.store)
	m.issuer = &issuer{&m.opts, newAccount(&m.opts, m.store), m.answers}
	m.flights.Go(m.run)
	return m, nil
}

// Close ends orders and renewals, and tries once more to write what the cache has not
// taken. The manager still serves the certificates that it has.
func (m *Manager) Close() {
	m.mu.Lock()
	m.cancel()
	m.mu.Unlock()
	m.flights.Wait()
	cleanUp(m.ctx, func(ctx context.Context) { m.store.flush(ctx) })
}

// Certificates lists the certificates that the manager serves now, for servertls.Options.
// It does not wait.
func (m *Manager) Certificates() []*tls.Certificate { return m.certificates() }

// GetCertificate is for servertls.Options. It returns a known certificate at once, whatever
// the state of cache and authority. Otherwise it waits for the order that is under way for
// the name, at most ten seconds; the order continues without it. After a failure it returns
// the cause until the next try is due.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, err := hostOf(hello.ServerName)
	if err != nil {
		return nil, err
	}
	ctx := hello.Context()
	if ctx == nil {
		ctx = context.Background() // a hello that a program made
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == alpn {
		return m.answerTLS(ctx, name)
	}
	if err := m.allowed(ctx, name); err != nil {
		return nil, err
	}
	return m.get(ctx, certKey{host: name, rsa: !knowsECDSA(hello)}, m.waiting)
}

// alpn is the protocol of RFC 8737.
const alpn = "acme-tls/1"

// hostOf returns a server name in the form that certificates use.
func hostOf(server string) (string, error) {
	if server == "" {
		return "", errNoName
	}
	name, ok := fullName(strings.TrimSuffix(server, "."))
	if !ok {
		return "", fmt.Errorf("acme: %s is no name of a server: %w", safetext.Quote(server, maxErrorText), servertls.ErrUnknownName)
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", errNoName
	}
	return name, nil
}

// allowed returns nil if the manager may get a certificate for the name. An error that
// wraps ErrUnknownName is final; any other may be temporary.
func (m *Manager) allowed(ctx context.Context, name string) error {
	if m.opts.HostPolicy == nil {
		if !m.names[name] {
			return fmt.Errorf("acme: %s is not among Options.Hosts: %w", name, servertls.ErrUnknownName)
		}
		return nil
	}
	select {
	case m.policies <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("acme: HostPolicy was not asked for %s: %w", name, context.Cause(ctx))
	}
	_, err := runDetached(ctx, func(ctx context.Context) (struct{}, error) {
		defer func() { <-m.policies }()
		return struct{}{}, m.opts.HostPolicy(ctx, name)
	})
	if err != nil {
		return fmt.Errorf("acme: HostPolicy refuses %s: %w", name, err)
	}
	return nil
}

// get returns a certificate, or waits for it. If waiting is not nil, it bounds how many
// callers wait.
func (m *Manager) get(ctx context.Context, key certKey, waiting chan struct{}) (*tls.Certificate, error) {
	for inside := false; ; {
		cert, f, err := m.find(key)
		if f == nil {
			return cert, err
		}
		if waiting != nil && !inside {
			select {
			case waiting <- struct{}{}:
				defer func() { <-waiting }()
				inside = true
			default:
				return nil, &missingError{key: key, cause: errCrowded}
			}
		}
		select {
		case <-f.done:
			if f.key == key {
				return f.cert, f.err
			}
		case <-ctx.Done():
			return nil, &missingError{key: key, cause: m.timedOut(f)}
		}
	}
}

// timedOut says what a handshake waited for in vain, with the cause of the last failure if
// there was one.
func (m *Manager) timedOut(f *flight) error {
	m.mu.Lock()
	cause := m.host(f.key.host).slot(f.key).cause
	m.mu.Unlock()
	if cause == nil {
		return errors.New("it is being ordered, which takes longer than a handshake waits: try again later")
	}
	return fmt.Errorf("it is being ordered, which takes longer than a handshake waits, after a failure: %w", cause)
}

// Warm gets the ECDSA certificates for names, or for all of Options.Hosts if no names are
// given, before the first client asks. It returns when each name has its certificate or has
// failed once, or when ctx ends; the error has the causes. The manager retries what failed
// by itself until Close. With tls-alpn-01 the authority has to reach the server meanwhile,
// so call Warm once the server listens.
func (m *Manager) Warm(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		names = m.opts.Hosts
	}
	if len(names) == 0 {
		return errors.New("acme: Warm needs names where HostPolicy decides about them")
	}
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { errs[i] = m.warm(ctx, name) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func (m *Manager) warm(ctx context.Context, name string) error {
	name, err := hostOf(name)
	if err != nil {
		return err
	}
	if err := m.allowed(ctx, name); err != nil {
		return err
	}
	key := certKey{host: name}
	m.mu.Lock()
	m.host(name).slot(key).wanted = true
	m.mu.Unlock()
	_, err = m.get(ctx, key, nil)
	return err
}

// answerTLS is GetCertificate for the authority's tls-alpn-01 check.
func (m *Manager) answerTLS(ctx context.Context, host string) (*tls.Certificate, error) {
	return m.answers.tlsAnswer(ctx, host, m.allowed)
}
