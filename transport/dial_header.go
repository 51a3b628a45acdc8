//go:build !js

package transport

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// handshakeHeaders are set by the handshake or by HTTP. The value says what a caller should use
// instead.
var handshakeHeaders = map[string]string{
	"Connection":               "",
	"Content-Length":           "",
	"Host":                     "",
	"Proxy-Authorization":      "it is for the proxy, not for the server: write user and password into the proxy's URL, or set ProxyAuth",
	"Sec-Websocket-Accept":     "",
	"Sec-Websocket-Extensions": "",
	"Sec-Websocket-Key":        "",
	"Sec-Websocket-Protocol":   "use Subprotocols",
	"Sec-Websocket-Version":    "",
	"Trailer":                  "",
	"Transfer-Encoding":        "",
	"Upgrade":                  "",
}

// badHeader returns what is wrong with the headers that the caller wants to send, or "". It repeats
// no value.
func badHeader(opts *DialOptions) string {
	for name, values := range opts.Header {
		if !isToken(name) {
			return "DialOptions.Header has a name that no header may have"
		}
		if hint, ok := handshakeHeaders[textproto.CanonicalMIMEHeaderKey(name)]; ok {
			if hint == "" {
				hint = "the handshake sets it itself"
			}
			return "DialOptions.Header may not hold " + name + ": " + hint
		}
		for _, value := range values {
			if !isFieldValue(value) {
				return "DialOptions.Header has a line break or another control character in " + name
			}
		}
	}
	for i, name := range opts.Subprotocols {
		if !isToken(name) {
			return "DialOptions.Subprotocols may only hold names without spaces and separators"
		}
		for _, earlier := range opts.Subprotocols[:i] {
			if strings.EqualFold(name, earlier) {
				return "DialOptions.Subprotocols holds a name twice"
			}
		}
	}
	switch {
	case opts.BearerToken == "":
	case !isToken68(opts.BearerToken):
		return "DialOptions.BearerToken has characters that no bearer token has (RFC 6750, section 2.1): is it the token alone?"
	case len(valuesOf(opts.Header, "Authorization")) > 0:
		return "DialOptions has both a BearerToken and an Authorization header"
	}
	return ""
}

// exposed returns that a dial of u would send a credential in the clear (requirement A48), or "".
func exposed(u *url.URL, opts *DialOptions) string {
	if name := exposedName(u, opts); name != "" {
		return name + " would cross the network in the clear: use wss://, or leave it out"
	}
	return ""
}

func exposedName(u *url.URL, opts *DialOptions) string {
	if u.Scheme != "ws" || localOnly(u, opts.Policy) {
		return ""
	}
	if opts.BearerToken != "" {
		return "the BearerToken"
	}
	for _, name := range []string{"Authorization", "Cookie"} {
		if len(valuesOf(opts.Header, name)) > 0 {
			return "the header " + name
		}
	}
	if holdsToken(opts.Subprotocols) {
		return "the token among the Subprotocols"
	}
	return ""
}

// valuesOf finds a header in any spelling.
func valuesOf(h http.Header, name string) (values []string) {
	for key, v := range h {
		if strings.EqualFold(key, name) {
			values = append(values, v...)
		}
	}
	return values
}

// requestHeader returns the headers to add to the handshake.
func requestHeader(opts *DialOptions) http.Header {
	h := opts.Header.Clone()
	if opts.BearerToken != "" {
		if h == nil {
			h = http.Header{}
		}
		h.Set("Authorization", "Bearer "+opts.BearerToken)
	}
	return h
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}

// isToken68 reports whether s is a token68 (RFC 9110, section 11.2).
func isToken68(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == ""
}

func isFieldValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}
