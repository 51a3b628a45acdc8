//go:build !js

package transport

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A DialEvent reports that a phase of a dial has ended. It holds no credentials and may be logged.
type DialEvent struct {
	Phase  Phase
	Target string // scheme and host of the target
	Proxy  string // scheme and host of the proxy, if there is one
	Took   time.Duration

	Addresses     []netip.Addr // in PhaseResolve
	Local, Remote string       // in PhaseConnect: our address and the next hop's
	TLS           *TLSInfo     // in PhaseTLS, and in PhaseProxy if the proxy speaks TLS
	Subprotocol   string       // in PhaseUpgrade
	Answered      []string     // in PhaseUpgrade, and in PhaseProxy for an HTTP proxy: who answered, by the headers Server and Via

	Err    *DialError // why the phase, and with it the dial, failed; else nil
	Missed int        // how many earlier events were dropped because Notify was slow
}

// answeredBy returns the headers that tell who gave an answer and who passed it on. Each of them
// can write what it likes.
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

// maxAnswered bounds the lines of Answered, and shownAnswered the characters of each.
const maxAnswered, shownAnswered = 8, 100
