// Package netblock tells network addresses of different owners apart.
package netblock

import "net/netip"

// Of returns what a single owner holds of the address space around remote, which
// is an address with or without a port: an IPv4 address, an IPv6 /64; or "" for
// what is no address.
func Of(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		at, err := netip.ParseAddrPort(remote)
		if err != nil {
			return ""
		}
		addr = at.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if block, err := addr.Prefix(64); err == nil {
			return block.String()
		}
	}
	return addr.String()
}
