//go:build !js

package servertls

import (
	"crypto/x509"
	"math"
	"time"
)

// An Expiry says how long a certificate is good for. It is what a gauge shows.
type Expiry struct {
	Name     string        // the first name that it is for
	KeyType  string        // ECDSA, RSA or Ed25519: one name may have a certificate of each
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
	told time.Duration // the one of warnAt that was told last
}

func newExpiring(leaf *x509.Certificate, file string) expiring {
	return expiring{leaf: leaf, file: file, told: math.MaxInt64}
}

func (e *expiring) at(now time.Time) *Expiry {
	return &Expiry{Name: nameOf(e.leaf), KeyType: e.leaf.PublicKeyAlgorithm.String(), File: e.file, NotAfter: e.leaf.NotAfter, Left: e.leaf.NotAfter.Sub(now)}
}

// stage returns the one of warnAt that a certificate has reached. One that is made
// for a day is not warned of 30 days before.
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

// due reports whether it is time to tell. A clock that was set back makes what it had
// told too early due again.
func (e *expiring) due(now time.Time) bool {
	reached := e.stage(now)
	due := reached < e.told
	e.told = reached
	return due
}
