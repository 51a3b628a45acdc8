//go:build !js

package transport

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A route is how a request came here, as far as that can be believed.
type route struct {
	client netip.Addr // the client, or the last of the listed hops that did not say; invalid without IP
	secure bool       // the client spoke TLS
	host   string     // which host the client asked for
	hop    bool       // the peer is a listed hop: what its own TLS shows is not the client's
	hidden bool       // somebody not listed says to have forwarded this
}

// errHops refuses a request, rather than guess which hop is wrong.
var errHops = errors.New("a trusted hop sends forwarding headers that cannot be read, or Forwarded and X-Forwarded-For that disagree: make the outermost hop write one of them and remove the other")

// A step is what one hop says about whoever sent it the request.
type step struct {
	from  netip.Addr // invalid if it does not say
	proto string     // "http", "https", or "" if it does not say
	host  string
}

// trace walks back over the hops that are listed, starting at the peer. Each hop
// adds to the right of what it got, so everything further left than the last
// listed hop's own word is hearsay, and not looked at (requirement A49).
func trace(r *http.Request, hops []netip.Prefix) (route, error) {
	direct := route{client: addrOf(r.RemoteAddr), secure: r.TLS != nil || tunnelOf(r).secure, host: r.Host}
	if !listed(hops, direct.client) {
		direct.hidden = len(r.Header["Forwarded"]) > 0 || len(r.Header["X-Forwarded-For"]) > 0
		return direct, nil
	}
	direct.hop = true
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
	case one != other: // which includes that only one of them tells the host
		// A hop that writes one of them and passes the other on would let
		// clients choose what to be taken for.
		return direct, errHops
	}
	return one, nil
}

// ClientAddr returns the IP address of the client that made a request, as Accept
// shows it in Info.Client: the peer's, or what the listed hops tell, see
// TrustedHops in [AcceptOptions]. It is for limits and logs of other handlers
// beside Accept. Where the peer has no IP address, as on a Unix socket, it returns
// what the request gives for one.
func ClientAddr(r *http.Request, hops []netip.Prefix) string {
	from, _ := trace(r, hops) // the peer, if the hops make no sense
	return from.address(r)
}

func (from route) address(r *http.Request) string {
	if from.client.IsValid() {
		return from.client.String()
	}
	return safetext.Line(r.RemoteAddr, shownTarget)
}

// walk follows steps from the right until one leads to somebody not listed.
func walk(at route, steps []step, hops []netip.Prefix) route {
	for i, s := range slices.Backward(steps) {
		switch {
		case s.proto != "":
			at.secure = strings.EqualFold(s.proto, "https") || strings.EqualFold(s.proto, "wss")
		case i < len(steps)-1:
			at.secure = false // this link is not the one that we know of
		}
		if s.host != "" {
			at.host = s.host
		}
		if !s.from.IsValid() {
			break
		}
		if at.client = s.from; !listed(hops, at.client) {
			break
		}
	}
	return at
}

func listed(hops []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(hops, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addrOf returns the IP address in s, which may have a port behind it, in its one
// form: never an IPv4 address inside of IPv6, which no prefix of IPv4 would match.
func addrOf(s string) netip.Addr {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// maxForwarded bounds each of the headers below, in bytes: some dozens of hops.
const maxForwarded = 4 << 10

// parseXForwarded reads what X-Forwarded-For, -Proto and -Host say. The last item
// of each is the nearest hop's. Many hops leave -Proto and -Host as they got them,
// so that where a list is shorter its first item stands for the rest.
func parseXForwarded(h http.Header) ([]step, error) {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} {
		if sizeOf(h, name) > maxForwarded {
			return nil, errHops
		}
	}
	from := slices.Collect(listOf(h, "X-Forwarded-For"))
	proto := slices.Collect(listOf(h, "X-Forwarded-Proto"))
	host := slices.Collect(listOf(h, "X-Forwarded-Host"))
	n := len(from)
	if n == 0 && len(proto)+len(host) > 0 {
		n = 1
	}
	var steps []step
	for back := n; back > 0; back-- { // 1 is the nearest hop
		steps = append(steps, step{addrOf(itemBack(from, back)), itemBack(proto, back), itemBack(host, back)})
	}
	return steps, nil
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
