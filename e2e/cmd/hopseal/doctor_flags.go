//go:build !js

package main

import (
	"strings"

	"github.com/hopseal/hopseal/transport/diagnose"
)

// The texts of package transport name the fields of its options, which programs set. A person who
// runs the command sets flags instead.

// flagNames replaces the name of a field by the flag for it, the longer names first. If no flag sets
// the field, the text says that a program can.
var flagNames = strings.NewReplacer(
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

// nameFlags makes a report name flags instead of fields.
func nameFlags(report *diagnose.Report) {
	for i := range report.Findings {
		f := &report.Findings[i]
		f.Problem, f.Advice = flagNames.Replace(f.Problem), flagNames.Replace(f.Advice)
	}
}
