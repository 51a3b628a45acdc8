package transport

import "encoding/base64"

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
