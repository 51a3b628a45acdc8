//go:build !js

package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

var stepOf = map[transport.Phase]string{transport.PhaseResolve: "name", transport.PhaseConnect: "tcp", transport.PhaseProxy: "proxy", transport.PhaseTLS: "tls", transport.PhaseUpgrade: "upgrade"}

// soon is how long before a certificate expires the report warns of it. For a certificate
// with a short lifetime it warns when a third of that is left.
const soon = 30 * 24 * time.Hour

// explainEvent turns the event of a phase into a Finding.
func explainEvent(e transport.DialEvent, now time.Time) Finding {
	f := Finding{Step: stepOf[e.Phase], Hop: hopOf(e), Result: Passed, Took: e.Took}
	for _, addr := range e.Addresses {
		f.Saw = append(f.Saw, addr.String())
	}
	if e.Remote != "" {
		f.Saw = append(f.Saw, "from "+e.Local+" to "+e.Remote)
	}
	if e.TLS != nil {
		f.Saw = append(f.Saw, describeHandshake(e.TLS)...)
		f.warnOfEnd(e.TLS.Peer, now)
	}
	for _, line := range e.Answered {
		f.Saw = append(f.Saw, "answered by "+line)
	}
	if e.Err != nil {
		f.Result, f.Problem = Failed, e.Err.Problem
		f.addChain(e.Err)
	}
	return f
}

// hopOf names the hop that has to answer in the event's phase.
func hopOf(e transport.DialEvent) string {
	if e.Proxy != "" && e.Phase <= transport.PhaseProxy {
		return "proxy " + e.Proxy
	}
	return hostPort(e.Target)
}

// hostPort returns the host and port of a ws or wss URL that has no path.
func hostPort(target string) string {
	scheme, host, _ := strings.Cut(target, "://")
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return host + map[string]string{"ws": ":80", "wss": ":443"}[scheme]
}

func describeHandshake(t *transport.TLSInfo) []string {
	line := t.Version + ", " + t.CipherSuite
	if t.Curve != "" {
		line += ", " + t.Curve
	}
	if t.ECH {
		line += ", name encrypted (ECH)"
	}
	lines := []string{line}
	for i, c := range t.Peer {
		lines = append(lines, fmt.Sprintf("certificate %d: %s", i+1, describeValidity(c)))
	}
	return lines
}

func describeValidity(c transport.Certificate) string {
	line := c.Subject
	if len(c.Names) > 0 {
		line += fmt.Sprintf(" for %q", c.Names)
	}
	return fmt.Sprintf("%s, issued by %s, valid %s to %s", line, c.Issuer, c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly))
}

// warnOfEnd warns of the first certificate in chain that expires soon.
func (f *Finding) warnOfEnd(chain []transport.Certificate, now time.Time) {
	for i, c := range chain {
		if left := c.NotAfter.Sub(now); left < min(soon, c.NotAfter.Sub(c.NotBefore)/3) && f.Result == Passed {
			f.Result = Warned
			f.Problem = fmt.Sprintf("certificate %d ends in %d days", i+1, int(left.Hours()/24))
			if left < 0 {
				f.Problem = fmt.Sprintf("certificate %d has ended on %s", i+1, c.NotAfter.UTC().Format(time.DateOnly))
			}
			f.Advice = "find out why it has not been renewed: that should have happened by now"
		}
	}
}

// addChain adds the certificates of a server whose chain did not verify.
func (f *Finding) addChain(err *transport.DialError) {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return
	}
	for i, c := range refused.UnverifiedCertificates {
		f.Saw = append(f.Saw, fmt.Sprintf("certificate %d: %s", i+1, describeValidity(transport.CertificateOf(c))))
	}
	f.Advice = missingLink(refused.UnverifiedCertificates)
}

// missingLink returns advice with the address of the next certificate in the chain, if the
// last one that the server sent gives it.
func missingLink(sent []*x509.Certificate) string {
	last := sent[len(sent)-1]
	if len(last.IssuingCertificateURL) == 0 || string(last.RawIssuer) == string(last.RawSubject) {
		return ""
	}
	return "if the chain is incomplete, this is the next certificate that the server has to send: " + safetext.Line(last.IssuingCertificateURL[0], shown)
}
