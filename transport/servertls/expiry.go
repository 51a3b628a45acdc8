//go:build !js

package servertls

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// An Expiry says how long a certificate is good for. It is what a gauge shows.
type Expiry struct {
	Name     string        // the first name that it is for
	File     string        // where it came from; empty if from Options.GetCertificate
	NotAfter time.Time     // the last moment
	Left     time.Duration // until then; negative afterwards
}

const dayLong = 24 * time.Hour

// warnAt lists how long before the end somebody is told, the shortest last.
var warnAt = []time.Duration{30 * dayLong, 7 * dayLong, dayLong, 0}

// An expiring certificate remembers what was told of it.
type expiring struct {
	leaf *x509.Certificate
	file string
	told time.Duration // the last of warnAt that was
}

func newExpiring(leaf *x509.Certificate, file string) expiring {
	return expiring{leaf: leaf, file: file, told: math.MaxInt64}
}

func (e *expiring) at(now time.Time) *Expiry {
	return &Expiry{Name: nameOf(e.leaf), File: e.file, NotAfter: e.leaf.NotAfter, Left: e.leaf.NotAfter.Sub(now)}
}

// due reports whether it is time to tell. A certificate that is made for a day is
// not warned of 30 days before.
func (e *expiring) due(now time.Time) bool {
	left, life := e.leaf.NotAfter.Sub(now), e.leaf.NotAfter.Sub(e.leaf.NotBefore)
	due := false
	for _, t := range warnAt {
		if left <= t && t <= life/2 && t < e.told {
			e.told, due = t, true
		}
	}
	return due
}

// An issuedSet remembers the certificates that were shown and came from no file, the
// newest one for each name.
type issuedSet struct {
	mu     sync.Mutex // guards what follows
	byName map[string]*expiring
}

func (s *issuedSet) add(cert *tls.Certificate) {
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return // the handshake tells
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byName[nameOf(leaf)]; old != nil && !leaf.NotAfter.After(old.leaf.NotAfter) {
		return
	}
	if s.byName == nil {
		s.byName = make(map[string]*expiring)
	}
	e := newExpiring(leaf, "")
	s.byName[nameOf(leaf)] = &e
}

// all returns them in the order of their names.
func (s *issuedSet) all() (out []*expiring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		out = append(out, s.byName[name])
	}
	return out
}
