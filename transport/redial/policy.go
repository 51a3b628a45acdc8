package redial

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// Defaults of [Policy].
const (
	DefaultBase          = time.Second
	DefaultCap           = 30 * time.Second
	DefaultStable        = time.Minute
	DefaultMaxRetryAfter = 5 * time.Minute
)

// A Policy says how to dial again after a dial failed or a connection ended. The
// zero value is good for most programs: it goes on until the context ends or an
// error says that going on is of no use.
//
// The wait before the n-th new try is a random time between 0 and
// min(Cap, Base·2ⁿ⁻¹): exponential back-off with full jitter, after "Exponential
// Backoff And Jitter" in the AWS Architecture Blog. The randomness is what spreads
// the clients of a server that has just come back; no other wait does it as well.
//
// [ActionFor] is the table of what follows from which error. In a browser nothing
// is tried while the browser is offline, and its online event ends a wait at once,
// except where the server has asked for the wait.
//
// A Policy may be used for any number of connections at the same time. Negative
// values count as zero.
type Policy struct {
	// Base is the longest wait before the first new try. Zero means
	// DefaultBase.
	Base time.Duration

	// Cap is the longest wait that a client chooses. Zero means DefaultCap.
	Cap time.Duration

	// Stable is how long a connection has to hold to make the tries and waits
	// before it forgotten. Until then a server that takes connections only to drop
	// them is treated like one that is down. Zero means DefaultStable.
	Stable time.Duration

	// MaxTries is how many dials there may be without a stable connection, the
	// first one included. Zero means any number.
	MaxTries int

	// MaxTime is how long there may be no stable connection. A dial is cancelled
	// when it is over, and no wait begins that would outlast it; where KeepTrying
	// rules, one that a server has asked for is not obeyed then. Zero means for ever.
	MaxTime time.Duration

	// MaxRetryAfter is how much of a time to wait is obeyed, be it in a Retry-After or in
	// the close of a connection, see [transport.RetryAfter]. A random time as above
	// is added to it, so that those who were sent away together do not come back
	// together. Zero means DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration

	// Refresh is asked for a fresh credential before the next try, after an error
	// for which Decide says Refresh, and has to make the dial function use
	// it. The context is that of Next, and with KeepTrying it ends after a minute: the
	// refusal, and the silence of whoever has to be asked, may both be a hop's. If it fails, it is asked again after a
	// wait, unless its error has a method Permanent() bool that returns true. Its
	// error is wrapped and not shown: it may hold the credential. Nil means that
	// there is no fresh one.
	Refresh func(ctx context.Context) error

	// Decide returns what to do about an error of a dial, of Refresh, or of a
	// connection that ended. Nil means ActionFor, which it may call for the errors
	// that it does not know itself. What it says holds, with KeepTrying too.
	Decide func(err error) Action

	// KeepTrying makes a link outlast whatever a hop can answer, once there has been a
	// connection: an ingress without its service, a login page, a certificate that was
	// renewed too late, a close code that somebody made up. ActionFor has the table.
	// A credential that is refused, or cannot be refreshed, does not end it either. The
	// first dial still stops where another would not help, and the limits above hold.
	KeepTrying bool

	// Notify is told each state, in order, from a goroutine of its own that lives
	// while there is something to tell. When it is slow, the oldest of more than
	// 16 waiting events is left out, and the next one says so. A panic in it is
	// logged and survived. It must return some time. Nil means that nobody is told.
	Notify func(Event)
}

func (p Policy) withDefaults() Policy {
	set := func(value *time.Duration, otherwise time.Duration) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	set(&p.Base, DefaultBase)
	set(&p.Cap, DefaultCap)
	set(&p.Stable, DefaultStable)
	set(&p.MaxRetryAfter, DefaultMaxRetryAfter)
	p.Cap = max(p.Cap, p.Base)
	return p
}

// Dial calls dial until it returns a connection. The context bounds all of it, and
// not the life of the connection; the one that dial gets ends when dial returns.
// The error is a [*GaveUpError].
func (p Policy) Dial(ctx context.Context, dial func(context.Context) (transport.Conn, error)) (transport.Conn, error) {
	return New(p, dial).Next(ctx, nil)
}
