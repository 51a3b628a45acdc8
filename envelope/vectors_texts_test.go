package envelope

import (
	"encoding/base32"
	"strings"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// Vectors of texts that people pass on: fingerprints (section 2) and safety codes (2.3).

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// fingerprintText is that of Alice, with what a case makes of it.
func fingerprintText(change func(text string) string) func() vector {
	return func() vector {
		return vector{Sealed: []byte(change(textOf(castAlice))), Plaintext: castAlice.fingerprint()}
	}
}

func textOf(p person) string { return "fp1" + lowerBase32.EncodeToString(p.fingerprint()) }

func unreadable(change func(text string) string) func() vector {
	return func() vector { return vector{Sealed: []byte(change(textOf(castAlice)))} }
}

// lastBit sets a bit that stands for nothing, in the last of 52 characters.
func lastBit(text string) string {
	alphabet := "abcdefghijklmnopqrstuvwxyz234567"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + alphabet[last|1:][:1]
}

var goodFingerprints = []judgedCase{
	{"fingerprint-example", "the text of a fingerprint", fingerprintText(func(s string) string { return s })},
}

var badFingerprints = []judgedCase{
	{"fingerprint-last-bit", "one of the last four bits, which stand for nothing, is set", unreadable(lastBit)},
	{"fingerprint-upper-case", "in capital letters", unreadable(strings.ToUpper)},
	{"fingerprint-no-prefix", "without its prefix", unreadable(func(s string) string { return s[3:] })},
	{"fingerprint-prefix-2", "another prefix", unreadable(func(s string) string { return "fp2" + s[3:] })},
	{"fingerprint-short", "a character is missing", unreadable(func(s string) string { return s[:len(s)-1] })},
	{"fingerprint-long", "one character more", unreadable(func(s string) string { return s + "a" })},
	{"fingerprint-padding", "with the padding of base32", unreadable(func(s string) string { return s + "====" })},
	{"fingerprint-digit", "a digit that base32 does not have", unreadable(func(s string) string { return s[:10] + "1" + s[11:] })},
	{"fingerprint-newline", "a newline at its end", unreadable(func(s string) string { return s + "\n" })},
	{"fingerprint-wide-space", "a space of another kind", unreadable(func(s string) string { return s[:10] + "\u00a0" + s[10:] })},
	{"fingerprint-empty", "no text", unreadable(func(string) string { return "" })},
}

// codeOf is what Bob's device shows to Alice, with what a case makes of it.
func codeOf(change func(own, peer string) string) func() vector {
	return func() vector {
		a, b := keys.Fingerprint(castAlice.fingerprint()), keys.Fingerprint(castBob.fingerprint())
		return vector{
			Sealed: []byte(change(textOf(castBob), textOf(castAlice))), Fingerprint: a[:],
			judged: judged{Peer: b[:], Number: trust.SafetyNumber(a, b)},
		}
	}
}

var goodCodes = []judgedCase{
	{"safety-example", "the code that the peer shows, and the number of the two", codeOf(func(own, peer string) string { return "hopseal:compare/1/" + own + "/" + peer })},
	{"safety-other-side", "the same for the other one of the two, with the same number", func() vector {
		v := codeOf(func(own, peer string) string { return "hopseal:compare/1/" + peer + "/" + own })()
		v.Fingerprint, v.Peer = v.Peer, v.Fingerprint
		return v
	}},
}

var badCodes = []judgedCase{
	{"safety-own-code", "one's own code, shown back", codeOf(func(own, peer string) string { return "hopseal:compare/1/" + peer + "/" + own })},
	{"safety-of-another", "the code of somebody else", codeOf(func(_, peer string) string { return "hopseal:compare/1/" + textOf(castEve) + "/" + peer })},
	{"safety-for-another", "the peer has another fingerprint for the reader", codeOf(func(own, _ string) string { return "hopseal:compare/1/" + own + "/" + textOf(castEve) })},
	{"safety-version-2", "version 2", codeOf(func(own, peer string) string { return "hopseal:compare/2/" + own + "/" + peer })},
	{"safety-space", "a space", codeOf(func(own, peer string) string { return "hopseal:compare/1/" + own + "/ " + peer })},
	{"safety-more", "a slash behind it", codeOf(func(own, peer string) string { return "hopseal:compare/1/" + own + "/" + peer + "/" })},
	{"safety-three", "a third fingerprint", codeOf(func(own, peer string) string { return "hopseal:compare/1/" + own + "/" + peer + "/" + own })},
	{"safety-one", "one fingerprint only", codeOf(func(own, _ string) string { return "hopseal:compare/1/" + own })},
}
