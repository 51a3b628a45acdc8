//go:build !js

package jwtauth

import "time"

// mostAbsent is the most names that an absent holds. Strangers can invent names of up to 8 KiB.
const mostAbsent = 256

// An absent holds the names of keys that the issuer does not publish, and when that was found
// out. A name counts for as long as pause: later the issuer may have published it.
type absent map[string]time.Time

func (a absent) has(id string, now time.Time) bool {
	at, is := a[id]
	return is && now.Sub(at) < pause
}

// add records a name, and forgets others to make room: another fetch can find out about them
// again.
func (a *absent) add(id string, now time.Time) {
	if *a == nil {
		*a = absent{}
	}
	for old, at := range *a {
		if len(*a) < mostAbsent && now.Sub(at) < pause {
			continue
		}
		delete(*a, old)
	}
	(*a)[id] = now
}
