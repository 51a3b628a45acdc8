package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

const (
	// dialTries is how often Dial tries while the other member is there. dialPause is how long it
	// waits before the second try.
	dialTries = 6
	dialPause = 250 * time.Millisecond

	// longestAsked is how long Dial waits at most if the answer asks for a wait. An honest member
	// asks for at most twice retryDelay. The relay, or somebody who has taken a name, may ask for
	// any time.
	longestAsked = 5 * time.Second
)

// Dial returns the session with the member of that name, and makes one if there is none.
// It may be one that the other end has begun, and one that another Dial, or Accept, has
// returned: callers share it.
//
// Errors: [ErrAbsent]; what [e2e.DialFunc] returns; the context's; [net.ErrClosed]; [ErrLeft].
func (n *Node) Dial(ctx context.Context, name string) (*e2e.Session, error) {
	yields, pause := false, dialPause
	for try := 1; ; {
		s, a, changed, err := n.begin(ctx, name, yields)
		if s != nil || err != nil {
			return s, err
		}
		if a != nil {
			s, err = n.attempt(ctx, name, a)
			if err == nil {
				return s, nil
			}
			yields = yields || !a.refusedSince.IsZero()
			if a.overtaken {
				continue
			}
			if try++; try > dialTries || !temporary(err) || ctx.Err() != nil {
				return nil, err
			}
			asked := min(transport.RetryAfter(err), longestAsked)
			if err := n.wait(ctx, name, time.After(asked+pause+rand.N(pause))); err != nil {
				return nil, err
			}
			pause *= 2
			continue
		}
		select {
		case <-changed:
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// temporary reports whether a dial may succeed if it is made again.
func temporary(err error) bool {
	var failed *e2e.HandshakeError
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Reason {
	case e2e.ReasonUnavailable, e2e.ReasonLost, e2e.ReasonTimeout:
		return true
	}
	return false
}

// wait returns when there is a session with a member, or when it is time to try again.
func (n *Node) wait(ctx context.Context, name string, again <-chan time.Time) error {
	for {
		n.mu.Lock()
		changed, found := n.changed, n.findSession(name) != nil || n.hasUnconfirmed(name)
		n.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-again:
			return nil
		case <-n.closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin returns the session with a member, or else an attempt to make one, or else a channel that is
// closed when it is worth asking again.
func (n *Node) begin(ctx context.Context, name string, yields bool) (*e2e.Session, *attempt, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if closed(n.closed) {
		return nil, nil, nil, net.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, nil, err
	}
	if n.leftErr != nil {
		return nil, nil, nil, n.leftErr
	}
	if m := n.findSession(name); m != nil {
		m.once.Do(func() { close(m.taken) })
		return m.session, nil, nil, nil
	}
	if n.membership == nil || n.dialling[name] != nil || n.hasUnconfirmed(name) {
		return nil, nil, n.changed, nil
	}
	if _, there := n.membership.find(name); !there {
		return nil, nil, nil, ErrAbsent
	}
	a := &attempt{yields: yields, cancel: func() {}}
	n.dialling[name] = a
	return nil, a, n.changed, nil
}

// attempt makes a session. It returns errOvertaken if another session counts.
func (n *Node) attempt(ctx context.Context, name string, a *attempt) (*e2e.Session, error) {
	dialCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	a.cancel = cancel
	n.mu.Unlock()
	s, err := e2e.DialFunc(dialCtx, n.address(name), n.session, func(ctx context.Context) (transport.Conn, error) {
		return n.open(ctx, name, a)
	})
	l, won := n.finish(name, a, s)
	switch {
	case err != nil:
		return nil, err
	case !won:
		s.Close()
		return nil, errOvertaken
	}
	l.confirm(ctx)
	return s, nil
}

// open waits until a member is there, and opens a link to it.
func (n *Node) open(ctx context.Context, name string, a *attempt) (transport.Conn, error) {
	for {
		n.mu.Lock()
		w, changed, left := n.membership, n.changed, n.leftErr
		n.mu.Unlock()
		if left != nil {
			return nil, left
		}
		if w != nil {
			if member, there := w.find(name); there {
				return n.openTo(w, member, name, a), nil
			}
		}
		select {
		case <-changed:
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *Node) openTo(w *membership, member relay.MemberID, name string, a *attempt) *link {
	l := w.open(member, name, n.room)
	n.mu.Lock()
	defer n.mu.Unlock()
	l.order = n.next()
	if a.link == nil { // later links are for reconnecting
		a.link = l
	}
	return l
}
