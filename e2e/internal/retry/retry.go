// Package retry has the defaults of the policies by which sessions, and members of rooms, come
// back.
package retry

import (
	"time"

	"github.com/hopseal/hopseal/transport/redial"
)

const (
	// stable is short because a connection of a session, or of a member, is not there before
	// the other end has proved who it is. A connection that holds for a moment then says more
	// than one without a proof.
	stable = 2 * time.Second

	// maxRetryAfter is short because a hop can ask for any time, and a server lets a session
	// wait for its ParkTimeout only.
	maxRetryAfter = time.Minute
)

// WithDefaults returns the policy with defaults for Stable and MaxRetryAfter. KeepTrying is always
// set.
func WithDefaults(p redial.Policy) redial.Policy {
	p.KeepTrying = true
	if p.Stable <= 0 {
		p.Stable = stable
	}
	if p.MaxRetryAfter <= 0 {
		p.MaxRetryAfter = maxRetryAfter
	}
	return p
}
