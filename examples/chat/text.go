//go:build !js

package main

import (
	"errors"
	"strings"
	"unicode"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// shownName shows a name or room that somebody else chose. One that could be
// mistaken for a part of the line around it stands in quotes.
func shownName(name string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r)
	}
	odd := func(r rune) bool { return !plain(r) }
	if name != "" && strings.IndexFunc(name, odd) < 0 && safetext.Line(name, maxName) == name {
		return name
	}
	return safetext.Quote(name, 4*maxName) // an escape takes four characters or more
}

// shownText shows a message as one line.
func shownText(text string) string { return safetext.Line(text, maxText) }

// grouped prints a fingerprint in groups of four, for reading it out.
func grouped(f keys.Fingerprint) string { return groups(f.String()) }

func groups(s string) string {
	var b strings.Builder
	b.WriteString(s[:3])
	for s = s[3:]; len(s) > 0; s = s[min(4, len(s)):] {
		b.WriteString(" " + s[:min(4, len(s))])
	}
	return b.String()
}

// dropped says why a message from a member was not shown, and what to make of
// it. It names the category and no bytes of the message.
func dropped(name string, err error) string {
	who := shownName(name)
	switch envelope.ReasonOf(err) {
	case envelope.ReasonNotForUs:
		return who + " wrote something that is not sealed to you: " + who + " has not admitted you, or not yet"
	case envelope.ReasonMalformed:
		return notice(who, "malformed", "it was cut short or damaged on the way")
	case envelope.ReasonProof:
		return notice(who, "proof", "it was changed on the way, or forged")
	case envelope.ReasonUnlisted, envelope.ReasonExpired:
		return notice(who, "unlisted", "they have newer keys than are known here: join again; or it was forged")
	case envelope.ReasonReplay:
		return notice(who, "replay", "it is a repeat of a message that you have seen")
	case envelope.ReasonContext:
		return notice(who, "context", "it was made for another room")
	case envelope.ReasonSender:
		return notice(who, "sender", "the relay says it is theirs, and it is not")
	case envelope.ReasonReflected:
		return notice(who, "reflected", "it is your own message, sent back")
	case envelope.ReasonTime:
		return notice(who, "time", "it is a late repeat, or one of the two clocks is wrong")
	case envelope.ReasonVersion, envelope.ReasonSuite:
		return notice(who, "version", "it was made in a way that this program does not read")
	case envelope.ReasonKey, envelope.ReasonBody:
		return notice(who, "body", "it does not open: their program made it wrong")
	}
	if errors.Is(err, errNotText) {
		return notice(who, "content", "it is not a chat text")
	}
	return notice(who, "error", err.Error())
}

func notice(who, category, meaning string) string {
	return "dropped a message from " + who + " [" + category + "]: " + meaning
}

// standing describes a member for the list, given what check returned.
func standing(err error) string {
	refusal, ok := errors.AsType[*trust.Error](err)
	switch {
	case err == nil:
		return "admitted"
	case !ok:
		return "cannot be admitted: " + err.Error()
	}
	switch refusal.Reason {
	case trust.Unknown:
		return "not admitted"
	case trust.Changed:
		return "ALARM: another fingerprint was admitted under this name"
	case trust.Revoked:
		return "withdrawn by its owner"
	case trust.NotYetValid:
		return "from the future: check both clocks"
	case trust.Expired:
		return "expired: it has to reconnect; check both clocks"
	}
	return "an outdated identity: it has to reconnect"
}

// cutName takes a name off the front of a line: a word, or something in quotes.
func cutName(s string) (name, rest string) {
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		name, rest, _ = strings.Cut(quoted, `"`)
	} else {
		name, rest, _ = strings.Cut(s, " ")
	}
	return name, strings.TrimSpace(rest)
}
