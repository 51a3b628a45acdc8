package e2e

import (
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// MaxCredentials is the most that a client may show beside its identity, in bytes.
const MaxCredentials = engine.MaxCredentials // 4 KiB

// A Grant says what a client's credentials entitle it to.
type Grant struct {
	// Claims is whatever the application wants to know later. [Session.Peer] returns it.
	Claims any

	// Expires is when the session ends, unless the client has shown other credentials
	// before. Zero means never. The server reads the wall clock once, when Authenticate
	// returns: it tells the client how long the credentials last, and both ends measure
	// that. If somebody sets the clock later, or the machine sleeps, the end moves by as
	// much.
	Expires time.Time
}

// measured returns the grant with an end that setting the wall clock does not move.
func (g Grant) measured() Grant {
	if now := time.Now(); !g.Expires.IsZero() {
		g.Expires = now.Add(g.Expires.Sub(now))
	}
	return g
}

// lifetime returns how long a grant lasts from now on. 0 means for ever.
func (g Grant) lifetime() time.Duration {
	if g.Expires.IsZero() {
		return 0
	}
	return max(time.Until(g.Expires), 1)
}

// grantFor returns, at the client, the grant that has this lifetime.
func grantFor(lifetime time.Duration) Grant {
	if lifetime == 0 {
		return Grant{}
	}
	return Grant{Expires: time.Now().Add(lifetime)}
}
