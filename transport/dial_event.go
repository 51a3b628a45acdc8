//go:build !js

package transport

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A DialEvent tells that a phase of a dial is over. It holds no credentials and may
// be logged.
type DialEvent struct {
	Phase  Phase
	Target string // scheme and host that are dialled
	Proxy  string // scheme and host of the proxy on the way, if there is one
	Took   time.Duration

	Addresses     []netip.Addr // of PhaseResolve
	Local, Remote string       // of PhaseConnect: our address and the next hop's
	TLS           *TLSInfo     // of PhaseTLS, and of PhaseProxy for a proxy that speaks TLS
	Subprotocol   string       // of PhaseUpgrade
	Answered      []string     // of PhaseUpgrade, and of PhaseProxy for an HTTP proxy: who has answered, by the headers Server and Via

	Err    *DialError // why the phase failed, and the dial with it; else nil
	Missed int        // events before this one that were left out, because Notify was slow
}

// answeredBy returns what an answer says about who has given it, and who has passed it on. Each
// of them can write what it likes.
func answeredBy(h http.Header) (lines []string) {
	for _, name := range []string{"Server", "Via"} {
		for _, value := range h.Values(name) {
			if len(lines) < maxAnswered {
				lines = append(lines, name+": "+safetext.Line(value, shownAnswered))
			}
		}
	}
	return lines
}

// maxAnswered and shownAnswered bound what is told of that: lines, and characters in each.
const maxAnswered, shownAnswered = 8, 100
