//go:build !js

package main

import (
	"strings"

	"github.com/hopseal/hopseal/transport/diagnose"
)

// The texts of package transport name the fields of its options, since programs set those. Who
// runs the command sets flags.

// flagsFor says what stands for a field in this command, the longer names first. Where there is
// nothing, it says where else.
var flagsFor = strings.NewReplacer(
	"set TLS.CertFile and TLS.KeyFile", "give -cert and -key",
	"TLSOptions needs both CertFile and KeyFile", "-cert and -key go together",
	"TLS.CertFile", "-cert", "TLS.KeyFile", "-key",
	"TLS.RootsPEM", "-roots", "TLSOptions.RootsPEM", "-roots",
	"DialOptions.Network", "-network",
	"DialOptions.Header", "-header",
	"DialOptions.ProxyAuth", "DialOptions.ProxyAuth", "set DialOptions.Proxy", "give -proxy", "DialOptions.Proxy", "-proxy",
	"DialOptions.Subprotocols", "-subprotocol", "among the Subprotocols", "in -subprotocol", "use Subprotocols", "use -subprotocol",
	"DialOptions.BearerToken", envToken,
	"DialOptions has both a BearerToken and an Authorization header", envToken+" is set, and -header has Authorization: leave one out",
	"the BearerToken", "the token in "+envToken,
	", or set ProxyAuth", " (a program can set DialOptions.ProxyAuth)",
	"set InsecureProxyPassword", "in a program set DialOptions.InsecureProxyPassword",
)

// inFlags puts the words of this command into a report.
func inFlags(report *diagnose.Report) {
	for i := range report.Findings {
		f := &report.Findings[i]
		f.Problem, f.Advice = flagsFor.Replace(f.Problem), flagsFor.Replace(f.Advice)
	}
}
