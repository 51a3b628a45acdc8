//go:build !js

package transport

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// stagger is how long the dialer waits for an address before it tries the next one in parallel (RFC
// 8305, section 5).
const stagger = 250 * time.Millisecond

// maxAddresses bounds how many addresses of a name the dialer tries.
const maxAddresses = 16

var hopPorts = map[string]uint16{"ws": 80, "wss": 443, "http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

// portOf returns the port of a URL, or its scheme's default. It is not ok if no such port exists.
func portOf(u *url.URL) (uint16, bool) {
	if u.Port() == "" {
		return hopPorts[u.Scheme], true
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return uint16(port), err == nil && port != 0
}

func badNetwork(network string) string {
	switch network {
	case "", "tcp", "tcp4", "tcp6":
		return ""
	}
	return `DialOptions.Network must be "tcp", "tcp4" or "tcp6"`
}

// reach connects to the next hop. host is its name in ASCII.
func (d *dialer) reach(ctx context.Context, hop *url.URL, host string) (net.Conn, error) {
	ctx, cancel := withPhaseTimeout(ctx, d.opts.Timeouts.Connect) // for both phases
	defer cancel()
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.connect(ctx, hop, addrs)
}

// resolve returns the addresses of host in the order in which to try them.
func (d *dialer) resolve(ctx context.Context, host string) (addrs []netip.Addr, err error) {
	err = d.runPhase(ctx, PhaseResolve, d.opts.Timeouts.Connect, func(ctx context.Context, e *DialEvent) *DialError {
		network := "ip"
		if d.opts.Network != "" {
			network += d.opts.Network[len("tcp"):]
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
		if err != nil {
			return d.explainResolve(ctx, err)
		}
		if host == "localhost" { // must stay on this machine (RFC 6761, section 6.3)
			found = loopbackOnly(found)
		}
		if len(found) == 0 {
			return failure("the host has no address that could be dialled", true, nil)
		}
		for _, addr := range found[:min(len(found), maxAddresses)] {
			addrs = append(addrs, addr.Unmap())
		}
		e.Addresses = addrs
		return nil
	})
	return addrs, err
}

func loopbackOnly(addrs []netip.Addr) (kept []netip.Addr) {
	for _, addr := range addrs {
		if addr.Unmap().IsLoopback() {
			kept = append(kept, addr)
		}
	}
	return kept
}

// connect returns a connection to the first address that answers.
func (d *dialer) connect(ctx context.Context, hop *url.URL, addrs []netip.Addr) (conn net.Conn, err error) {
	port, ok := portOf(hop)
	err = d.runPhase(ctx, PhaseConnect, d.opts.Timeouts.Connect, func(ctx context.Context, e *DialEvent) *DialError {
		if !ok {
			return failure("there is no such port: it must be from 1 to 65535", true, nil)
		}
		var err error
		if conn, err = race(ctx, addrs, port); err != nil {
			return d.explainConnect(ctx, err)
		}
		d.socket = conn
		e.Local, e.Remote = conn.LocalAddr().String(), conn.RemoteAddr().String()
		d.info.Local, d.info.Remote = e.Local, e.Remote
		return nil
	})
	return conn, err
}

// race tries the addresses one after the other and does not wait long for any. If all fail, it
// returns the error of the first address, which is the preferred one.
func race(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	type attempt struct {
		conn net.Conn
		err  error
		rank int
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt, len(addrs))
	errs := make([]error, len(addrs))
	next := time.NewTimer(0)
	defer next.Stop()
	begun, ended := 0, 0
	for ended < len(addrs) {
		select {
		case <-next.C:
			if begun == len(addrs) {
				continue
			}
			go func(rank int) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(addrs[rank], port).String())
				results <- attempt{conn, err, rank}
			}(begun)
			begun++
			next.Reset(stagger)
		case a := <-results:
			ended++
			if a.err == nil {
				cancel()
				for ; ended < begun; ended++ { // close those that came second
					if late := <-results; late.err == nil {
						late.conn.Close()
					}
				}
				return a.conn, nil
			}
			errs[a.rank] = a.err
			next.Reset(0)
		}
	}
	return nil, errs[0]
}

// asciiHost returns the host of u as DNS and TLS spell it, or else a problem.
func asciiHost(u *url.URL) (host, problem string) {
	host = u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil && plainName(addr.Zone()) {
		return addr.String(), ""
	}
	host, err := punycode(host)
	if err != nil || len(host) > 253 {
		return "", "the host is no name that could be looked up"
	}
	if !plainName(host) {
		return "", "the host's name has characters that no name has"
	}
	return host, ""
}

func plainName(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !plainInName(r) }) < 0
}

func plainInName(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
}
