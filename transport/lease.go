//go:build !js

package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// A lease ends a connection when what was granted to the client does.
type lease struct {
	mu    sync.Mutex // guards what follows
	grant Grant
	until time.Time   // its end, by a clock that nobody sets
	timer *time.Timer // nil if there is no end
	over  bool
}

// take makes g what counts, and has expire called at its end.
func (l *lease) take(g Grant, expire func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant = g
	l.halt()
	if !g.Expires.IsZero() && !l.over {
		left := time.Until(g.Expires)
		l.until = time.Now().Add(left)
		l.timer = time.AfterFunc(left, expire)
	}
}

func (l *lease) halt() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// end is for a connection that has ended.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.halt()
}

// expired reports whether the time is over. A renewal may have come between: then the
// rest is waited for.
func (l *lease) expired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		return false
	}
	left := time.Until(l.until)
	if left > 0 {
		l.timer.Reset(left)
	}
	return left <= 0
}

func (l *lease) current() Grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grant
}

// expire ends the connection if its time is over.
func (c *wsConn) expire() {
	if c.lease.expired() {
		c.finish(&CloseError{Code: CodeUnauthorized, Reason: "the credential has expired", Err: ErrUnauthorized})
	}
}

func (c *wsConn) granted() *lease { return &c.lease }

// leased is a Conn of Accept.
type leased interface {
	granted() *lease
	expire()
}

// GrantOf returns what Authenticate granted to the client of a connection, or
// what [Renew] did since. It is the zero Grant where nobody was asked.
func GrantOf(conn Conn) Grant {
	if c, ok := conn.(leased); ok {
		return c.granted().current()
	}
	return Grant{}
}

// Renew replaces what was granted to the client of a connection, so that a
// client that sends a fresh credential over the open connection can stay. Info
// keeps what it was at first. Renew fails where g is for another principal or has
// expired, and for connections that Accept did not make; nothing changes then.
func Renew(conn Conn, g Grant) error {
	c, ok := conn.(leased)
	switch {
	case !ok:
		return errors.New("transport: renew: the connection is none of Accept's")
	case g.Principal != c.granted().current().Principal:
		return fmt.Errorf("transport: renew: the fresh credential is another principal's: %w", ErrForbidden)
	case !g.Expires.IsZero() && !time.Now().Before(g.Expires):
		return fmt.Errorf("transport: renew: the fresh credential has expired: %w", ErrUnauthorized)
	}
	c.granted().take(g, c.expire)
	return nil
}
