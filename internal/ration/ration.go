// Package ration keeps strangers from filling a log with lines that they can cause at will.
// Each kind of event gets one line per [Every]: about the latest event, with the number of
// events since the line before.
package ration

import (
	"sync"
	"time"
)

// Every is how often there is a line about one kind of thing.
const Every = time.Minute

// A Ration counts things of a few kinds. Its zero value is ready, and may be used at any time
// by anybody.
type Ration struct {
	mu sync.Mutex // guards what follows
	of map[string]*share
}

type share struct {
	quiet time.Time // until when there is no further line
	count int       // since the last one
}

// Take counts one more thing of a kind, and returns how many a line has to tell of now: 0 means
// that there is none. Kinds must be few: they are never forgotten.
func (r *Ration) Take(kind string, now time.Time) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = make(map[string]*share)
	}
	s := r.of[kind]
	if s == nil {
		s = new(share)
		r.of[kind] = s
	}
	s.count++
	if now.Before(s.quiet) {
		return 0
	}
	n, s.count, s.quiet = s.count, 0, now.Add(Every)
	return n
}
