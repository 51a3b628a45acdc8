//go:build !js

package servertls

import (
	"crypto/x509"
	"math"
	"time"
)

// An Expiry says when a certificate expires, for a gauge to show.
type Expiry struct {
	Name     string        // the certificate's first name
	KeyType  string        // ECDSA, RSA or Ed25519: one name may have a certificate of each
	File     string        // the certificate's file; empty if it came from Options.GetCertificate
	NotAfter time.Time     // the last moment at which it is valid
	Left     time.Duration // the time until NotAfter; negative afterwards
}

const dayLong = 24 * time.Hour

// warnAt lists how long before a certificate expires the Watcher warns, longest first.
var warnAt = []time.Duration{30 * dayLong, 7 * dayLong, dayLong, 0}

// An expiring is a certificate and the last warning about it.
type expiring struct {
	leaf   *x509.Certificate
	file   string
	warned time.Duration // the entry of warnAt of the last warning; MaxInt64 before the first
}

func newExpiring(leaf *x509.Certificate, file string) expiring {
	return expiring{leaf: leaf, file: file, warned: math.MaxInt64}
}

func (e *expiring) at(now time.Time) *Expiry {
	return &Expiry{Name: nameOf(e.leaf), KeyType: e.leaf.PublicKeyAlgorithm.String(), File: e.file, NotAfter: e.leaf.NotAfter, Left: e.leaf.NotAfter.Sub(now)}
}

// stage returns the entry of warnAt that the certificate has reached, or MaxInt64. It
// skips entries longer than half the certificate's lifetime: a certificate made for a
// day needs no warning 30 days before its end.
func (e *expiring) stage(now time.Time) time.Duration {
	left, life := e.leaf.NotAfter.Sub(now), e.leaf.NotAfter.Sub(e.leaf.NotBefore)
	reached := time.Duration(math.MaxInt64)
	for _, t := range warnAt {
		if left <= t && t <= life/2 {
			reached = t
		}
	}
	return reached
}

// due reports whether a warning is due, and records it as given. After the clock was set
// back, a warning that came too early becomes due again.
func (e *expiring) due(now time.Time) bool {
	reached := e.stage(now)
	due := reached < e.warned
	e.warned = reached
	return due
}
