package transport

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// bearerPrefix begins an entry among the subprotocols that carries a token.
const bearerPrefix = "hopseal.bearer."

// BearerSubprotocol returns token in the form of a subprotocol: "hopseal.bearer." and the token in
// base64url without padding. It is for clients that cannot set the header Authorization, which are
// browsers. The client offers it besides the subprotocol that it speaks:
//
//	new WebSocket(url, ["chat.v1", "hopseal.bearer.ZXlKaGJH..."])
//
// Accept takes the token out and never answers with it. A browser requires that the server chooses
// one of its offers, so the server has to list the other one in Subprotocols.
func BearerSubprotocol(token string) string {
	return bearerPrefix + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// cutBearer returns the encoded token in a subprotocol. It ignores the case of the prefix: a token
// after a prefix in capitals is just as secret.
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

// agreed returns the subprotocol that a server chose, safe to show. Some servers answer with the
// first one that they read. If that is the token, nothing is agreed on, and the token appears in no
// Info and no event (requirement A48).
func agreed(chosen string) string {
	if _, is := cutBearer(chosen); is {
		return ""
	}
	return safetext.Line(chosen, shownTarget)
}
