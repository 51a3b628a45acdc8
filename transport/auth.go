//go:build !js

package transport

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// authenticate asks the application, if Authenticate is set.
func authenticate(r *http.Request, e *incoming, opts *AcceptOptions) *refusal {
	if opts.Authenticate == nil {
		return nil
	}
	token, no := tokenOf(r, e.origin, opts.AuthCookie)
	if no != nil {
		return no
	}
	if !e.from.Secure && (token != "" || r.Header.Get("Authorization") != "") && !allowedLocally(r, e.from, opts) {
		return &refusal{status: http.StatusForbidden, clientText: needTLS, cause: ErrCleartext,
			problem: "a credential came over a link without TLS, where others may have read it: replace it, and serve wss:// or list what terminates TLS in TrustedHops"}
	}
	cert, no := certificateOf(r, e.from, opts.TrustClientCert)
	if no != nil {
		return no
	}
	var err error
	e.grant, err = callAuthenticate(r.Context(), opts.Authenticate, &Caller{Token: token, Certificate: cert,
		Client: e.from.Address(r), Origin: e.origin, Request: withoutToken(r, e.origin)})
	if err != nil {
		return notGranted(r, token, err)
	}
	return checkGrant(e.grant, token)
}

// notGranted returns the refusal for an Authenticate that returned err.
func notGranted(r *http.Request, token Token, err error) *refusal {
	no := &refusal{cause: err}
	text := ": " + safetext.Line(err.Error(), shownReason)
	if holdsAny(err.Error(), secretsOf(r, token)) {
		text, no.cause = " (its error is not shown, since it holds the credential)", nil
	}
	switch {
	case errors.Is(err, ErrUnauthorized):
		unauthorized(no, token)
		no.cause = orSentinel(no.cause, ErrUnauthorized)
		no.problem = "Authenticate does not know the client" + text
	case errors.Is(err, ErrForbidden):
		no.status, no.clientText = http.StatusForbidden, "this client may not connect here"
		no.cause = orSentinel(no.cause, ErrForbidden)
		no.problem = "Authenticate turned the client down" + text
	default:
		no.status, no.clientText = http.StatusServiceUnavailable, "credentials cannot be checked now"
		no.header = http.Header{"Retry-After": {secondsToWait(err)}}
		no.problem = "Authenticate failed" + text
	}
	return no
}

// secondsToWait returns the Retry-After for an Authenticate that could not decide.
func secondsToWait(err error) string {
	wait := 5 * time.Second
	if later := new(UnavailableError); errors.As(err, &later) && later.RetryAfter > 0 {
		wait = min(later.RetryAfter, longestRetryAfter)
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

func orSentinel(err, sentinel error) error {
	if err == nil {
		return sentinel
	}
	return err
}

// secretsOf returns everything in a request that may be a credential.
func secretsOf(r *http.Request, token Token) []string {
	_, password, _ := r.BasicAuth()
	_, authorization, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	secrets := []string{string(token), r.URL.RawQuery, password, authorization}
	for _, values := range r.URL.Query() {
		secrets = append(secrets, values...)
	}
	for _, cookie := range r.Cookies() {
		secrets = append(secrets, cookie.Value)
	}
	return secrets
}

// minSecret is the least size of a secret, in bytes. Anything shorter may occur in any text by
// chance.
const minSecret = 4

func holdsAny(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool { return len(s) >= minSecret && strings.Contains(text, s) })
}

// unauthorized asks for a credential (RFC 6750, section 3).
func unauthorized(no *refusal, token Token) {
	challenge := `Bearer`
	if token != "" {
		challenge += ` error="invalid_token"`
	}
	no.status, no.clientText = http.StatusUnauthorized, "a valid credential is needed here"
	no.header = http.Header{"Www-Authenticate": {challenge}}
}

func checkGrant(g Grant, token Token) *refusal {
	switch {
	case !g.Expires.IsZero() && !time.Now().Before(g.Expires):
		no := &refusal{cause: ErrUnauthorized, problem: "the client's credential has expired"}
		unauthorized(no, token)
		return no
	case safetext.Line(g.Principal, maxPrincipal) != g.Principal:
		return &refusal{status: http.StatusForbidden, clientText: "this client may not connect here", cause: ErrForbidden,
			problem: "Grant.Principal has more than 256 characters, or some that cannot be shown"}
	}
	return nil
}

// withoutToken returns the request that the application sees.
func withoutToken(r *http.Request, origin string) *http.Request {
	seen := r.Clone(r.Context())
	if _, ok := bearerIn(r.Header.Get("Authorization")); ok {
		seen.Header.Del("Authorization")
	}
	if origin == "" {
		seen.Header.Del("Cookie")
	}
	seen.Header.Del("Sec-Websocket-Protocol")
	for offer := range offers(r.Header) {
		seen.Header.Add("Sec-Websocket-Protocol", offer)
	}
	return seen
}
