package keys

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// keepAliveCheck is how often KeepAlive looks at the clock: the wall clock, which somebody may
// set and which goes on while the machine sleeps.
const keepAliveCheck = time.Hour

// KeepAlive renews the identity, in memory, whenever half of its statement's life is over, until
// ctx ends. It is for a program whose identity is in no keystore.Store, for which keystore.Store.Run does that
// and more. Who saves the identity elsewhere saves it when its serial has changed.
//
// The error is that of ctx, or says that the identity cannot be renewed: [ErrRevoked], [ErrDetached].
// A root outside of the process that fails is asked again after an hour.
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

// aged reports whether it is time for another statement: half of the life of this one is over, or it
// is from the future, since a clock was wrong. Where that is certainly the one of now, peers go on
// accepting this one.
func (p *PublicIdentity) aged(now time.Time) bool {
	if first := time.Unix(unixtime.Beginning, 0); now.Before(first) && !p.issued.Before(first) {
		return false
	}
	return !now.Before(p.issued.Add(p.expires.Sub(p.issued)/2)) || p.future(now)
}
