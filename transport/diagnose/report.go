//go:build !js

package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A Result says how a step of [Run] went.
type Result string

const (
	Passed  Result = "passed"
	Warned  Result = "warned"  // the step passed, but will cause trouble
	Failed  Result = "failed"  // the step failed, so Run did not try those after it
	Skipped Result = "skipped" // Run did not try the step
)

// A Finding is what [Run] saw in one step. Its text from outside is safe to show, and
// it holds no credential, path or query.
type Finding struct {
	Step    string        `json:"step"`          // "url", "name", "tcp", "proxy", "tls", "upgrade", "echo", "keep-alive" or "idle"; callers may add steps of their own after Run
	Hop     string        `json:"hop,omitempty"` // who had to answer: a host and port, or a proxy
	Result  Result        `json:"result"`
	Took    time.Duration `json:"took_ns,omitempty"` // nanoseconds in JSON
	Saw     []string      `json:"saw,omitempty"`     // one fact in each
	Problem string        `json:"problem,omitempty"` // what is wrong
	Advice  string        `json:"advice,omitempty"`  // what to do about it
}

// HopTLS says whether the client's TLS reaches the server.
type HopTLS string

const (
	HopTLSUnknown      HopTLS = "unknown"       // the server did not say what it sees
	HopTLSNone         HopTLS = "none"          // the client's own connection is cleartext
	HopTLSUnbroken     HopTLS = "unbroken"      // one TLS connection from end to end
	HopTLSReTerminated HopTLS = "re-terminated" // a hop on the path decrypts
)

// A Report is what [Run] found.
type Report struct {
	Target   string             `json:"target"` // scheme and host
	Time     time.Time          `json:"time"`
	Findings []Finding          `json:"findings"`
	HopTLS   HopTLS             `json:"hop_tls"`
	TLS      *transport.TLSInfo `json:"-"` // of the first hop; nil without TLS or if the dial failed
}

// OK reports whether no step failed.
func (r *Report) OK() bool {
	for _, f := range r.Findings {
		if f.Result == Failed {
			return false
		}
	}
	return true
}

// String returns the report as lines of text.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Target)
	for _, f := range r.Findings {
		f.write(&b)
	}
	if r.OK() {
		fmt.Fprintf(&b, "\n%s\n", r.HopTLS.explain())
	}
	return b.String()
}

func (f Finding) write(b *strings.Builder) {
	line := fmt.Sprintf("  %-7s %-10s ", f.Result, f.Step)
	if f.Hop != "" {
		line += f.Hop + " "
	}
	if f.Took > 0 {
		line += fmt.Sprintf("(%.1f ms)", float64(f.Took)/1e6)
	}
	fmt.Fprintln(b, strings.TrimRight(line, " "))
	for _, line := range f.Saw {
		fmt.Fprintf(b, "                     %s\n", line)
	}
	if f.Problem != "" {
		fmt.Fprintf(b, "          problem    %s\n", f.Problem)
	}
	if f.Advice != "" {
		fmt.Fprintf(b, "          do         %s\n", f.Advice)
	}
}

func (h HopTLS) explain() string {
	switch h {
	case HopTLSNone:
		return "There is no TLS on the first hop: everybody on the way can read what is not sealed."
	case HopTLSUnbroken:
		return "TLS reaches the server unbroken, as far as somebody on the way does not lie: a session of package e2e proves it."
	case HopTLSReTerminated:
		return "TLS is terminated on the way: that hop can read what is not sealed."
	}
	return "Whether TLS is terminated on the way is unknown: the server does not answer diagnoses (diagnose.Handler)."
}
