package lobby

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/keys"
)

// ErrFull is matched by why a server takes no further session. The client is told to try again
// later.
var ErrFull = errors.New("the limit of sessions is reached")

// A Quota bounds a server's sessions, in all and of one identity. Handshakes that are about to
// become sessions count too. Its user guards it with a mutex.
type Quota struct {
	Most, MostPerIdentity int

	taken int
	of    map[keys.Fingerprint]int
}

// Full reports whether there is no room for another session of anybody.
func (q *Quota) Full() bool { return q.taken >= q.Most }

// Reserve counts a session of an identity, if there may be another one.
func (q *Quota) Reserve(who keys.Fingerprint) error {
	switch {
	case q.Full():
		return ErrFull
	case q.of[who] >= q.MostPerIdentity:
		return fmt.Errorf("%w, for this identity", ErrFull)
	}
	if q.of == nil {
		q.of = map[keys.Fingerprint]int{}
	}
	q.taken++
	q.of[who]++
	return nil
}

// Free takes back what [Quota.Reserve] has counted.
func (q *Quota) Free(who keys.Fingerprint) {
	q.taken--
	if q.of[who]--; q.of[who] == 0 {
		delete(q.of, who)
	}
}
