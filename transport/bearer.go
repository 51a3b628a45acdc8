package transport

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// bearerPrefix starts a subprotocol that is none.
const bearerPrefix = "hopseal.bearer."

// BearerSubprotocol returns token in the form of a subprotocol, for clients that
// cannot send the header Authorization, which are browsers: "hopseal.bearer." and
// the token in base64url without padding. A client offers it beside the
// subprotocol that it speaks:
//
//	new WebSocket(url, ["chat.v1", "hopseal.bearer.ZXlKaGJH..."])
//
// Accept takes the token out, and never answers with it. A browser wants one of
// its offers taken, so that the server has to list the other in Subprotocols.
func BearerSubprotocol(token string) string {
	return bearerPrefix + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// cutBearer returns what stands behind the prefix of a token among the
// subprotocols. In other letters it is no better kept secret.
func cutBearer(subprotocol string) (coded string, ok bool) {
	n := len(bearerPrefix)
	if len(subprotocol) < n || !strings.EqualFold(subprotocol[:n], bearerPrefix) {
		return "", false
	}
	return subprotocol[n:], true
}

func holdsToken(subprotocols []string) bool {
	return slices.ContainsFunc(subprotocols, func(name string) bool { _, is := cutBearer(name); return is })
}

// agreed returns the subprotocol that a server chose, safe to show. Some answer with
// the first that they read: where that is a token nothing is agreed on, and the token
// is in no Info and no event (requirement A48).
func agreed(chosen string) string {
	if _, is := cutBearer(chosen); is {
		return ""
	}
	return safetext.Line(chosen, shownTarget)
}
