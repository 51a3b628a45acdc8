//go:build !js

package transport

import (
	"encoding/base64"
	"iter"
	"net/http"
	"strings"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// tokenOf returns the one bearer token in a request, or "". Two tokens are refused, because nobody
// can say which one counts (RFC 6750, section 2). Browsers send cookies unasked, so the cookie
// counts only if the page's origin was checked (requirement A43) and there is no other token.
func tokenOf(r *http.Request, origin, cookie string) (Token, *refusal) {
	shown, no := shownTokens(r.Header)
	switch {
	case no != nil:
		return "", no
	case len(shown) > 1:
		return "", badToken("the request holds more than one bearer token")
	case len(shown) == 1:
		return checkToken(shown[0])
	case cookie == "":
		return "", nil
	}
	switch cookies := r.CookiesNamed(cookie); {
	case len(cookies) == 0:
		return "", nil
	case origin == "":
		return "", &refusal{status: http.StatusForbidden, clientText: "pages of this origin may not connect here", cause: ErrOrigin,
			problem: "the cookie of AuthCookie came without an Origin: it counts only for pages, other clients send a bearer token"}
	case len(cookies) > 1:
		return "", badToken("the cookie of AuthCookie came twice")
	default:
		return checkToken(cookies[0].Value)
	}
}

// shownTokens returns the tokens in the headers Authorization and Sec-WebSocket-Protocol.
func shownTokens(h http.Header) (tokens []string, no *refusal) {
	sent := h.Values("Authorization")
	if len(sent) > 1 {
		return nil, badToken("the request has more than one header Authorization")
	}
	if len(sent) == 1 {
		if token, ok := bearerIn(sent[0]); ok {
			tokens = append(tokens, token)
		}
	}
	for item := range hops.List(h, "Sec-WebSocket-Protocol") {
		coded, ok := cutBearer(item)
		if !ok {
			continue
		}
		token, err := base64.RawURLEncoding.Strict().DecodeString(coded)
		if err != nil {
			return nil, badToken("the subprotocol with the bearer token is not base64url without padding")
		}
		if tokens = append(tokens, string(token)); len(tokens) > 1 {
			break
		}
	}
	return tokens, nil
}

// bearerIn returns the token after the scheme Bearer (RFC 6750, section 2.1).
func bearerIn(authorization string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	return token, strings.EqualFold(scheme, "bearer")
}

func checkToken(token string) (Token, *refusal) {
	switch {
	case token == "":
		return "", badToken("the bearer token is empty")
	case len(token) > maxToken:
		return "", badToken("the bearer token has more than 8 KiB")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", badToken("the bearer token holds something else than visible ASCII")
	}
	return Token(token), nil
}

func badToken(problem string) *refusal {
	return &refusal{status: http.StatusBadRequest, clientText: "the credential in this request cannot be read", problem: problem, cause: ErrUnauthorized}
}

// offers returns the subprotocols that the client offers, without a token.
func offers(h http.Header) iter.Seq[string] {
	return func(yield func(string) bool) {
		for item := range hops.List(h, "Sec-WebSocket-Protocol") {
			if _, ok := cutBearer(item); !ok && !yield(item) {
				return
			}
		}
	}
}

// choose returns the first of ours that the client offers, or "".
func choose(h http.Header, ours []string) string {
	for _, name := range ours {
		for offer := range offers(h) {
			if offer == name {
				return name
			}
		}
	}
	return ""
}

// upgradable returns the request for the library below. It offers only the subprotocol that was
// chosen, and holds no secrets.
func upgradable(r *http.Request, subprotocol string) *http.Request {
	r = r.Clone(r.Context())
	for _, name := range []string{"Authorization", "Cookie", "Sec-Websocket-Protocol"} {
		r.Header.Del(name)
	}
	if subprotocol != "" {
		r.Header.Set("Sec-Websocket-Protocol", subprotocol)
	}
	return r
}
