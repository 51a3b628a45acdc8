package keys

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// keepAliveCheck is how often KeepAlive looks at the wall clock. Somebody may set that clock, and it
// goes on while the machine sleeps.
const keepAliveCheck = time.Hour

// KeepAlive renews the identity in memory, whenever half of its statement's life is over, until ctx
// ends. It is for a program whose identity is in no keystore.Store; keystore.Store.Run does that and
// more. A program that saves the identity elsewhere saves it each time its serial has changed.
//
// The error is that of ctx, or says that the identity cannot be renewed: [ErrRevoked], [ErrDetached].
// If a root outside of the process fails, KeepAlive asks it again after an hour.
func (id *Identity) KeepAlive(ctx context.Context) error {
	tick := time.NewTicker(keepAliveCheck)
	defer tick.Stop()
	for {
		if p := id.Public(); p == nil {
			return errEmptyIdentity
		} else if p.Revoked() {
			return ErrRevoked
		} else if p.aged(time.Now()) {
			if err := id.Renew(); errors.Is(err, ErrDetached) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// aged reports whether it is time for another statement: half of this one's life is over, or this one
// is from the future because a clock was wrong. If the clock that is certainly wrong is the present
// one, aged returns false: peers go on accepting this statement.
func (p *PublicIdentity) aged(now time.Time) bool {
	if first := time.Unix(unixtime.Beginning, 0); now.Before(first) && !p.issued.Before(first) {
		return false
	}
	return !now.Before(p.issued.Add(p.expires.Sub(p.issued)/2)) || p.future(now)
}
