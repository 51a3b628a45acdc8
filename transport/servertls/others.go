//go:build !js

package servertls

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

const (
	// askAgain is how long an answer of GetCertificate counts. While no client
	// connects, only another call can find out that a certificate was renewed.
	askAgain = dayLong

	// askPatience is how long a warning waits for GetCertificate.
	askPatience = 30 * time.Second
)

// An otherKey identifies a certificate that comes from no file.
type otherKey struct{ name, keyType string }

// An other is the certificate that Options.GetCertificate returned last for one name
// and kind of key.
type other struct {
	expiring
	hello   *tls.ClientHelloInfo // of a client that saw it, to ask again; nil if unknown
	turn    uint64               // the number of the call that returned it
	asked   time.Time            // when that call returned
	busy    time.Time            // when the call began that has not returned yet; zero if there is none
	checked time.Duration        // the entry of warnAt for which the Watcher asked again before it warns
}

func newOther(leaf *x509.Certificate) *other {
	return &other{expiring: newExpiring(leaf, ""), checked: math.MaxInt64}
}

// An otherSet remembers the certificates from no file that the server would show now, as
// far as it has shown or listed them.
type otherSet struct {
	mu    sync.Mutex // guards what follows
	turns uint64
	byKey map[otherKey]*other
}

// turn returns the number of a new call of GetCertificate. The answer to a call does not
// replace the answer to a later one.
func (s *otherSet) turn() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	return s.turns
}

func leafOf(cert *tls.Certificate) *x509.Certificate {
	if cert == nil || cert.Leaf == nil && len(cert.Certificate) == 0 {
		return nil
	}
	if cert.Leaf != nil {
		return cert.Leaf
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil // the handshake reports it
	}
	return leaf
}

func keyOf(leaf *x509.Certificate) otherKey {
	return otherKey{nameOf(leaf), leaf.PublicKeyAlgorithm.String()}
}

// add records what a call of GetCertificate returned.
func (s *otherSet) add(hello *tls.ClientHelloInfo, turn uint64, cert *tls.Certificate) {
	leaf := leafOf(cert)
	if leaf == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byKey[keyOf(leaf)]
	switch {
	case old != nil && turn < old.turn:
		return
	case old == nil:
		old = newOther(leaf)
	case !old.leaf.Equal(leaf):
		hello := old.hello
		old = newOther(leaf)
		old.hello = hello
	}
	old.turn, old.asked = turn, time.Now()
	if hello != nil {
		old.hello = likeHello(hello)
	}
	if s.byKey == nil {
		s.byKey = make(map[otherKey]*other)
	}
	s.byKey[keyOf(leaf)] = old
}

// likeHello returns a copy of the fields that choose a certificate, without the
// connection.
func likeHello(h *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: h.ServerName, CipherSuites: h.CipherSuites, SupportedCurves: h.SupportedCurves,
		SupportedPoints: h.SupportedPoints, SignatureSchemes: h.SignatureSchemes, SupportedProtos: h.SupportedProtos, SupportedVersions: h.SupportedVersions}
}

// replace makes certs the whole set.
func (s *otherSet) replace(certs []*tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byKey
	s.byKey = make(map[otherKey]*other)
	for _, cert := range certs {
		leaf := leafOf(cert)
		if leaf == nil {
			continue
		}
		o := old[keyOf(leaf)]
		if o == nil || !o.leaf.Equal(leaf) {
			o = newOther(leaf)
		}
		s.byKey[keyOf(leaf)] = o
	}
}

// expiries returns the expiry of each certificate, ordered by name and kind of key.
func (s *otherSet) expiries(now time.Time) (out []Expiry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.sorted() {
		out = append(out, *s.byKey[key].at(now))
	}
	return out
}

func (s *otherSet) sorted() []otherKey {
	return slices.SortedFunc(maps.Keys(s.byKey), func(a, b otherKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.keyType, b.keyType))
	})
}

// due returns the certificates to warn of, and those to ask GetCertificate for again: once
// a day, and before a warning. Otherwise the Watcher would warn of a certificate that was
// renewed while no client connected.
func (s *otherSet) due(now time.Time) (warn []Expiry, ask []*other) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.sorted() {
		switch o := s.byKey[key]; {
		case !o.busy.IsZero() && now.Sub(o.busy) < askPatience:
		case o.wantsAsking(now):
			o.busy, o.checked = now, o.stage(now)
			ask = append(ask, o)
		case o.due(now):
			warn = append(warn, *o.at(now))
		}
	}
	return warn, ask
}

func (o *other) wantsAsking(now time.Time) bool {
	if o.hello == nil || !o.busy.IsZero() {
		return false
	}
	if reached := o.stage(now); reached < o.warned {
		return reached < o.checked
	}
	return now.Sub(o.asked) >= askAgain
}

// answered ends a call that due asked for. It forgets o if GetCertificate no longer
// returns such a certificate for the name.
func (s *otherSet) answered(o *other, leaf *x509.Certificate, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.busy, o.asked = time.Time{}, time.Now()
	key := keyOf(o.leaf)
	if s.byKey[key] == o && (errors.Is(err, ErrUnknownName) || leaf != nil && keyOf(leaf) != key) {
		delete(s.byKey, key)
	}
}

// others returns the expiries of the certificates of GetCertificate.
func (w *Watcher) others(now time.Time) []Expiry {
	if w.opts.Certificates != nil {
		w.shown.replace(w.opts.Certificates())
	}
	return w.shown.expiries(now)
}

// ask calls GetCertificate to learn what it would show now. It takes as long as
// GetCertificate takes, so it runs in a goroutine of its own.
func (w *Watcher) ask(o *other) {
	turn := w.shown.turn()
	cert, err := w.getAgain(o.hello)
	if err == nil {
		w.shown.add(nil, turn, cert)
	}
	w.shown.answered(o, leafOf(cert), err)
}

// getAgain calls GetCertificate and recovers from a panic, as net/http does in a
// handshake: GetCertificate may not expect a hello without a connection.
func (w *Watcher) getAgain(hello *tls.ClientHelloInfo) (cert *tls.Certificate, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.opts.Logger.Error("servertls: GetCertificate panicked without a connection", "panic", safetext.Line(fmt.Sprint(v), shown), "stack", string(debug.Stack()))
			cert, err = nil, errors.New("GetCertificate panicked")
		}
	}()
	return w.opts.GetCertificate(hello)
}
