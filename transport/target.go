package transport

import (
	"net/url"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// shownTarget bounds how much of an address an error shows, in characters.
const shownTarget = 200

// A DialError says in one line why a connection could not be made and what to do about it. It holds
// neither the query nor the user part of the URL.
type DialError struct {
	Target  string // scheme and host of the target, safe to show; empty if the URL has none
	Problem string // what failed
	Phase   Phase  // the step that failed; 0 if nothing was sent, and in browsers, which do not tell
	Proxy   string // scheme and host of the proxy, safe to show; empty if there is none
	Status  int    // the HTTP status by which the server, or in PhaseProxy the proxy, refused; or 0

	// RetryAfter is how long the server asks not to be dialled, by the header Retry-After of its
	// answer: at most 24 hours, or 0 if it does not ask. It is always 0 in browsers.
	RetryAfter time.Duration

	permanent bool
	err       error
}

func (e *DialError) Error() string {
	if e.Target == "" {
		return "transport: cannot dial: " + e.Problem
	}
	return "transport: cannot dial " + e.Target + ": " + e.Problem
}

// Unwrap returns the cause if it is one that callers may test for: an error of the network, of TLS
// or of a context.
func (e *DialError) Unwrap() error { return e.err }

// Permanent reports whether another dial will fail too, unless somebody changes the URL, the
// options or the server.
func (e *DialError) Permanent() bool { return e.permanent }

func badURL(problem string) error { return &DialError{Problem: problem, permanent: true} }

// parseTarget checks the URL to dial and returns it with scheme ws or wss. Its errors do not repeat
// the URL, which may hold a token.
func parseTarget(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, badURL("the URL cannot be parsed")
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	default:
		return nil, badURL("the URL must start with wss:// or ws://, not " +
			safetext.Quote(u.Scheme, 20))
	}
	switch {
	case u.Hostname() == "":
		return nil, badURL("the URL names no host")
	case u.User != nil:
		return nil, badURL("the URL holds a user name or password: pass credentials in the handshake header or inside the sealed session")
	case strings.Contains(raw, "#"):
		return nil, badURL("the URL has a fragment (#), which a WebSocket URL may not have")
	}
	return u, nil
}

// safeTarget returns scheme and host of u for an error or an Info. It leaves out path and query:
// people put tokens into both.
func safeTarget(u *url.URL) string {
	return u.Scheme + "://" + safetext.Line(u.Host, shownTarget)
}
