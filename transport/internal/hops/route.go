//go:build !js

package hops

import (
	"errors"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// shownAddress bounds, in characters, what is shown of a remote address that is no IP address.
const shownAddress = 200

// A Route is how a request came here, as far as the listed hops vouch for it.
type Route struct {
	Client netip.Addr // the client, or the listed hop that did not say who sent it the request; invalid without IP
	Secure bool       // the client spoke TLS
	Host   string     // the host that the client asked for
	Hop    bool       // the peer is a listed hop: its own TLS is not the client's
	Hidden bool       // a peer that is not listed sent forwarding headers
}

// ErrForwarded refuses a request, rather than guess which hop is wrong.
var ErrForwarded = errors.New("a trusted hop sends forwarding headers that cannot be read, or Forwarded and X-Forwarded-For that disagree: make the outermost hop write one of them and remove the other")

// A step is what one hop says about the sender of the request.
type step struct {
	from  netip.Addr // invalid if the hop does not say
	proto string     // "http", "https", or "" if the hop does not say
	host  string
}

// Trace walks back over the listed hops, starting at the peer. Each hop adds its entry to
// the right of the others. Trace ignores every entry to the left of the last one that a
// listed hop wrote, because anybody could have written it (requirement A49).
func Trace(r *http.Request, hops []netip.Prefix) (Route, error) {
	direct := Route{Client: Addr(r.RemoteAddr), Secure: r.TLS != nil || TunnelOf(r).Secure, Host: r.Host}
	if !listed(hops, direct.Client) {
		direct.Hidden = len(r.Header["Forwarded"]) > 0 || len(r.Header["X-Forwarded-For"]) > 0
		return direct, nil
	}
	direct.Hop = true
	standard, err := parseForwarded(r.Header)
	if err != nil {
		return direct, err
	}
	common, err := parseXForwarded(r.Header)
	if err != nil {
		return direct, err
	}
	one, other := walk(direct, standard, hops), walk(direct, common, hops)
	switch {
	case standard == nil:
		return other, nil
	case common == nil:
		return one, nil
	case one != other: // also if only one of them names the host
		// If a hop wrote one header and passed the other on, clients could choose
		// their own address.
		return direct, ErrForwarded
	}
	return one, nil
}

// Address returns the client's IP address or, without one, the request's RemoteAddr.
func (from Route) Address(r *http.Request) string {
	if from.Client.IsValid() {
		return from.Client.String()
	}
	return safetext.Line(r.RemoteAddr, shownAddress)
}

// walk follows the steps from the right until one names a sender that is not listed.
func walk(at Route, steps []step, hops []netip.Prefix) Route {
	for i, s := range slices.Backward(steps) {
		switch {
		case s.proto != "":
			at.Secure = strings.EqualFold(s.proto, "https") || strings.EqualFold(s.proto, "wss")
		case i < len(steps)-1:
			at.Secure = false // what we know is the TLS of a later link
		}
		if s.host != "" {
			at.Host = s.host
		}
		if !s.from.IsValid() {
			break
		}
		if at.Client = s.from; !listed(hops, at.Client) {
			break
		}
	}
	return at
}

func listed(hops []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(hops, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Addr returns the IP address in s, which may have a port after it. It unwraps an IPv4
// address inside IPv6, because no IPv4 prefix would match that.
func Addr(s string) netip.Addr {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// maxForwarded bounds each forwarding header, in bytes: enough for some dozens of hops.
const maxForwarded = 4 << 10

// parseXForwarded reads X-Forwarded-For, -Proto and -Host. The nearest hop wrote the
// last item of each. Many hops pass -Proto and -Host on unchanged, so the first item of a
// shorter list stands for the missing ones.
func parseXForwarded(h http.Header) ([]step, error) {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} {
		if sizeOf(h, name) > maxForwarded {
			return nil, ErrForwarded
		}
	}
	from := slices.Collect(List(h, "X-Forwarded-For"))
	proto := slices.Collect(List(h, "X-Forwarded-Proto"))
	host := slices.Collect(List(h, "X-Forwarded-Host"))
	n := len(from)
	if n == 0 && len(proto)+len(host) > 0 {
		n = 1
	}
	var steps []step
	for back := n; back > 0; back-- { // 1 is the nearest hop
		steps = append(steps, step{Addr(itemBack(from, back)), itemBack(proto, back), itemBack(host, back)})
	}
	return steps, nil
}

// List returns the items of a header that is a list (RFC 9110, section 5.6.1)
// and holds no quoted strings. It skips empty items.
func List(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for item := range strings.SplitSeq(line, ",") {
				if item = strings.Trim(item, " \t"); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}

func sizeOf(h http.Header, name string) (n int) {
	for _, line := range h.Values(name) {
		n += len(line) + 1
	}
	return n
}

func itemBack(list []string, back int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(0, len(list)-back)]
}
