//go:build !js

package jwtauth

import "time"

// mostAbsent is how many names an absent holds. Strangers make them up, of up to 8 KiB each.
const mostAbsent = 256

// An absent holds names of keys that the issuer does not publish, each for as long as a pause:
// then it may have been published since.
type absent map[string]time.Time

func (a absent) has(id string, now time.Time) bool {
	at, is := a[id]
	return is && now.Sub(at) < pause
}

// add makes room where there is none: whoever is forgotten is asked about again.
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
