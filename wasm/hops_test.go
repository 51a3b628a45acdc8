//go:build !js

package main

import (
	"net"
	"sync"
)

// hops are the connections that a listener has accepted, so that a test can cut them as a hop does.
type hops struct {
	mu   sync.Mutex
	open []net.Conn
}

type cutListener struct {
	net.Listener
	hops *hops
}

func (h *hops) over(l net.Listener) net.Listener { return cutListener{l, h} }

func (l cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.hops.mu.Lock()
		l.hops.open = append(l.hops.open, c)
		l.hops.mu.Unlock()
	}
	return c, err
}

// cut ends all connections.
func (h *hops) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.open {
		c.Close()
	}
	h.open = nil
}
