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

// A Policy says how to dial again after a dial failed or a connection ended. The zero value is good
// for most programs: it tries until the context ends or an error says that another try would not
// help.
//
// The wait before the n-th new try is a random time between 0 and min(Cap, Base·2ⁿ⁻¹): exponential
// back-off with full jitter, after "Exponential Backoff And Jitter" in the AWS Architecture Blog.
// The randomness is what spreads the clients of a server that has just come back; no other wait
// does it as well.
//
// [ActionFor] is the table of errors and what follows from them. In a browser the Redialer does not
// try while the browser is offline. The browser's online event ends a wait at once, unless the
// server has asked for the wait.
//
// Any number of connections may use one Policy at the same time. Negative values count as zero.
type Policy struct {
	// Base is the longest wait before the first new try. Zero means
	// DefaultBase.
	Base time.Duration

	// Cap is the longest wait that a client chooses. Zero means DefaultCap.
	Cap time.Duration

	// Stable is how long a connection has to hold until earlier tries and waits no longer count. So
	// a server that accepts connections only to drop them is treated like one that is down. Zero
	// means DefaultStable.
	Stable time.Duration

	// MaxTries limits the dials without a stable connection, the first one included. Zero means no
	// limit.
	MaxTries int

	// MaxTime limits the time without a stable connection. When it is over, a dial under way is
	// cancelled, and no wait begins that would outlast it. A link that KeepTrying keeps does not
	// give up because of such a wait if a server asked for it: it ignores the wait. Zero means no
	// limit.
	MaxTime time.Duration

	// MaxRetryAfter limits how long the Redialer waits at a server's request, in a Retry-After or
	// in the close of a connection, see [transport.RetryAfter]. It adds a random time as above, so
	// that clients that were sent away together do not come back together. Zero means
	// DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration

	// Refresh gets a fresh credential and makes the dial function use it. The Redialer calls it
	// before the next try if Decide returned Refresh. The context is that of Next. With KeepTrying
	// it ends after a minute, because both the refusal and a silent credential server may be the
	// work of a hop. If Refresh fails, it is called again after a wait, unless its error has a
	// method Permanent() bool that returns true. The error is wrapped but not shown, since it may
	// hold the credential. Nil means that there is no fresh credential.
	Refresh func(ctx context.Context) error

	// Decide returns what to do after an error of a dial, of Refresh, or of a connection that
	// ended. Nil means ActionFor; a Decide may call that for errors that it does not know. Its
	// answer also holds with KeepTrying.
	Decide func(err error) Action

	// KeepTrying makes a link outlast whatever a hop can answer, once there has been a connection:
	// an ingress without its service, a login page, a certificate that was renewed too late, a
	// forged close code. ActionFor has the table. A credential that is refused, or cannot be
	// refreshed, does not end the link either. The first dial still stops if another would not
	// help, and the limits above hold.
	KeepTrying bool

	// Notify is called with each state, in order, on its own goroutine, which lives only while
	// there are events. If it is slow, the oldest of more than 16 waiting events is dropped, and
	// the next one says so. A panic in it is logged and does no harm. It must return at some time.
	// Nil means no events.
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

// Dial calls dial until it returns a connection. The context bounds all of this, but not the life
// of the connection; the context that dial gets ends when dial returns. The error is a
// [*GaveUpError].
func (p Policy) Dial(ctx context.Context, dial func(context.Context) (transport.Conn, error)) (transport.Conn, error) {
	return New(p, dial).Next(ctx, nil)
}
