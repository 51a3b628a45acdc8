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
	File     string        // where it came from
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
