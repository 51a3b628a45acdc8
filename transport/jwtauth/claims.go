//go:build !js

package jwtauth

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// maxToken bounds a token, in bytes, before anything looks into it.
const maxToken = 8 << 10

// Claims is what a verified token says (RFC 7519, section 4.1).
type Claims struct {
	Issuer    string
	Subject   string
	Audience  []string
	ID        string // empty if the token has none
	Expires   time.Time
	NotBefore time.Time // zero if the token does not say
	IssuedAt  time.Time // zero if the token does not say

	payload []byte
}

// Decode stores all claims in the value that v points to, as encoding/json does,
// but names have to match exactly. Use it for claims that Claims has no field for, such
// as "scope".
func (c *Claims) Decode(v any) error { return json.Unmarshal(c.payload, v) }

// Verify checks a token. Its error matches transport.ErrUnauthorized if the token does not
// count. Any other error means that Verify could not check the token.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	if len(token) > maxToken {
		return nil, invalid("it has more than 8 KiB")
	}
	signed, err := jose.ParseSignedCompact(token, signatureAlgorithms(v.opts.Algorithms))
	if err != nil || len(signed.Signatures) != 1 {
		return nil, invalid("it is no signed JWT with an algorithm that counts here")
	}
	header := signed.Signatures[0].Protected
	if problem := v.checkHeader(header); problem != "" {
		return nil, invalid(problem)
	}
	k, err := v.keys.find(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	if header.Algorithm != k.algorithm {
		return nil, invalid("its algorithm is not that of its key")
	}
	payload, err := signed.Verify(k.public)
	if err != nil {
		return nil, invalid("its signature is wrong")
	}
	return v.checkClaims(payload, time.Now())
}

func (v *Verifier) checkHeader(h jose.Header) (problem string) {
	if _, ok := h.ExtraHeaders["crit"]; ok {
		return "it has extensions that must be understood"
	}
	if _, ok := h.ExtraHeaders["b64"]; ok { // RFC 7797, section 7: not in a JWT
		return "it has extensions that must be understood"
	}
	if typ, _ := h.ExtraHeaders[jose.HeaderType].(string); v.opts.Type != "" && !sameType(typ, v.opts.Type) {
		return "it is of another type"
	}
	return ""
}

// sameType compares media types. Either may lack the "application/" (RFC 7515, section
// 4.1.9).
func sameType(a, b string) bool {
	const prefix = "application/"
	return strings.TrimPrefix(strings.ToLower(a), prefix) == strings.TrimPrefix(strings.ToLower(b), prefix)
}

// A payload holds the claims that this package reads. A nil pointer is a missing date.
type payload struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ID        string   `json:"jti"`
	Expires   *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	IssuedAt  *float64 `json:"iat"`
}

// An audience is one name or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(a))
	}
	*a = make(audience, 1)
	return json.Unmarshal(b, &(*a)[0])
}

// latest is the end of the year 9999, in seconds since 1970. Every date in a token is
// before it.
const latest = 253402300800

// checkClaims uses go-jose's own JSON, which refuses a member that comes twice and does
// not take "EXP" for "exp"; encoding/json would accept both.
func (v *Verifier) checkClaims(raw []byte, now time.Time) (*Claims, error) {
	var all map[string]any // to find duplicate members at any depth
	var p payload
	if json.Unmarshal(raw, &all) != nil || json.Unmarshal(raw, &p) != nil {
		return nil, invalid("its claims cannot be read")
	}
	expires, ok1 := date(p.Expires)
	notBefore, ok2 := date(p.NotBefore)
	issuedAt, ok3 := date(p.IssuedAt)
	switch leeway := v.opts.Leeway; {
	case !ok1 || !ok2 || !ok3:
		return nil, invalid("one of its dates is out of range")
	case p.Issuer != v.opts.Issuer:
		return nil, invalid("it is of another issuer")
	case !slices.Contains(p.Audience, v.opts.Audience):
		return nil, invalid("it is for another audience")
	case p.Subject == "":
		return nil, invalid("it names no subject")
	case expires.IsZero():
		return nil, invalid("it never expires")
	case !now.Before(expires.Add(leeway)):
		return nil, invalid("it has expired")
	case now.Add(leeway).Before(notBefore):
		return nil, invalid("it is not valid yet")
	}
	return &Claims{Issuer: p.Issuer, Subject: p.Subject, Audience: p.Audience, ID: p.ID,
		Expires: expires, NotBefore: notBefore, IssuedAt: issuedAt, payload: raw}, nil
}

// date converts seconds since 1970, which may have a fraction (RFC 7519, section 2).
func date(seconds *float64) (t time.Time, ok bool) {
	switch {
	case seconds == nil:
		return t, true
	case *seconds < 1 || *seconds >= latest:
		return t, false
	}
	return time.Unix(int64(*seconds), 0), true
}
