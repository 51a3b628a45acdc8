//go:build !js

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
)

// identityResult is what everybody may know of an identity.
type identityResult struct {
	Name        string     `json:"name"`
	Fingerprint string     `json:"fingerprint"`
	Serial      uint64     `json:"serial"`
	Issued      *time.Time `json:"issued"`
	Expires     *time.Time `json:"expires"`
	Revoked     bool       `json:"revoked"`
	State       string     `json:"state"` // valid, expired, not yet valid, revoked
}

func describe(p *keys.PublicIdentity) identityResult {
	return identityResult{p.Name(), p.Fingerprint().String(), p.Serial(), moment(p.Issued()), moment(p.Expires()), p.Revoked(), stateOf(p, time.Now())}
}

func (r identityResult) text(w io.Writer) {
	fmt.Fprintf(w, "identity     %s\nfingerprint  %s\n", shown(r.Name), r.Fingerprint)
	r.statementText(w, time.Now())
}

// keyResult is one key without its secret.
type keyResult struct {
	Use      string     `json:"use"`
	Keyset   string     `json:"keyset,omitempty"`
	Key      uint32     `json:"key"`
	WireID   string     `json:"wire_id"`
	Stage    string     `json:"stage"`
	Created  *time.Time `json:"created"`
	Promoted *time.Time `json:"promoted,omitempty"`
	Retired  *time.Time `json:"retired,omitempty"`
	Archived *time.Time `json:"archived,omitempty"`
}

func describeKey(keyset string, k keys.KeyInfo) keyResult {
	return keyResult{k.Use.String(), keyset, k.TinkID, k.ID, k.Stage.String(),
		moment(k.Created), moment(k.Promoted), moment(k.Retired), moment(k.Archived)}
}

// set names the keyset that the key is in.
func (r keyResult) set() string {
	if r.Keyset == "" {
		return r.Use
	}
	return "shared " + safetext.Quote(r.Keyset, 200)
}

// since is when the key came to its stage.
func (r keyResult) since() *time.Time {
	for _, t := range []*time.Time{r.Archived, r.Retired, r.Promoted} {
		if t != nil {
			return t
		}
	}
	return r.Created
}

// States of a statement, in results.
const (
	stateValid       = "valid"
	stateExpired     = "expired"
	stateNotYetValid = "not yet valid"
	stateRevoked     = "revoked"
)

func stateOf(p *keys.PublicIdentity, now time.Time) string {
	switch {
	case p.Revoked():
		return stateRevoked
	case !now.Before(p.Expires()):
		return stateExpired
	case now.Add(keys.ClockSkew).Before(p.Issued()):
		return stateNotYetValid
	}
	return stateValid
}

// statementText says whether peers accept a statement, and for how long.
func (r identityResult) statementText(w io.Writer, now time.Time) {
	serial := fmt.Sprintf("serial %d, issued %s", r.Serial, timeText(r.Issued))
	switch r.State {
	case stateRevoked:
		fmt.Fprintf(w, "statement    REVOKED %s\n", timeText(r.Issued))
	case stateExpired:
		fmt.Fprintf(w, "statement    EXPIRED %s, %s ago: peers refuse it until it is renewed\n             %s\n", timeText(r.Expires), lapse.Text(now.Sub(*r.Expires)), serial)
	case stateNotYetValid:
		fmt.Fprintf(w, "statement    NOT YET VALID: peers refuse it; check this clock, then renew it\n             %s, expires %s\n", serial, timeText(r.Expires))
	default:
		fmt.Fprintf(w, "statement    %s, expires %s, in %s\n", serial, timeText(r.Expires), lapse.Text(r.Expires.Sub(now)))
	}
}
