//go:build !js

package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// A lease ends a connection when the client's Grant expires.
type lease struct {
	mu    sync.Mutex // guards what follows
	grant Grant
	until time.Time   // when the grant expires, by the monotonic clock, which nobody sets
	timer *time.Timer // nil if the grant does not expire
	over  bool
}

// set replaces the grant. expire is called when the new one expires.
func (l *lease) set(g Grant, expire func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant = g
	l.stopTimer()
	if !g.Expires.IsZero() && !l.over {
		left := time.Until(g.Expires)
		l.until = time.Now().Add(left)
		l.timer = time.AfterFunc(left, expire)
	}
}

func (l *lease) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// end stops the lease of a connection that has ended.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.stopTimer()
}

// expired reports whether the grant has expired. If a renewal came just before, it waits for the
// rest.
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

// expire ends the connection if its grant has expired.
func (c *wsConn) expire() {
	if c.lease.expired() {
		c.finish(&CloseError{Code: CodeUnauthorized, Reason: "the credential has expired", Err: ErrUnauthorized})
	}
}

func (c *wsConn) granted() *lease { return &c.lease }

// A grantedConn is a Conn that Accept made.
type grantedConn interface {
	granted() *lease
	expire()
}

// GrantOf returns the Grant of a connection's client, from Authenticate or from a later [Renew]. It
// is the zero Grant if there was no Authenticate.
func GrantOf(conn Conn) Grant {
	if c, ok := conn.(grantedConn); ok {
		return c.granted().current()
	}
	return Grant{}
}

// Renew replaces the Grant of a connection's client, so that a client that sends a fresh credential
// over the open connection can stay. Info keeps the first Grant. Renew fails, and changes nothing,
// if g is for another principal or has expired, or if Accept did not make the connection.
func Renew(conn Conn, g Grant) error {
	c, ok := conn.(grantedConn)
	switch {
	case !ok:
		return errors.New("transport: renew: the connection is none of Accept's")
	case g.Principal != c.granted().current().Principal:
		return fmt.Errorf("transport: renew: the fresh credential is another principal's: %w", ErrForbidden)
	case !g.Expires.IsZero() && !time.Now().Before(g.Expires):
		return fmt.Errorf("transport: renew: the fresh credential has expired: %w", ErrUnauthorized)
	}
	c.granted().set(g, c.expire)
	return nil
}
