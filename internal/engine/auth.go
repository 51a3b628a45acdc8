package engine

import (
	"github.com/hopseal/hopseal/internal/label"
)

// sealAuth appends this end's authentication message and adds it to the transcript.
func (h *Handshake) sealAuth(dst []byte, purpose label.Label, fields int, signature []byte) []byte {
	start := len(dst)
	a := auth{identity: h.cfg.Identity.Bytes(), speech: h.cfg.speech().bytes(), signature: signature}
	if fields == clientAuthFields {
		h.mark = hopMark(h.schedule, h.binding)
		a.mark = h.mark
		if h.differ == nil { // credentials are only for a service that speaks the same
			a.credentials = h.credentials
		}
	}
	plain := appendAuth(nil, fields, a)
	dst = h.schedule.seal(dst, purpose, plain)
	h.schedule.absorb(dst[start:])
	h.toSign = nil
	return dst
}

// openAuth opens the other end's authentication message, checks everything in it and adds
// it to the transcript. It returns 0, or the reason why it failed.
func (h *Handshake) openAuth(purpose, role label.Label, fields int, sealed []byte) Reason {
	plain, err := h.schedule.open(purpose, sealed)
	if err != nil {
		return ReasonCipher
	}
	a, ok := parseAuth(plain, fields)
	if !ok {
		return ReasonEncoding
	}
	speech, ok := parseSpeech(a.speech)
	if !ok {
		return ReasonEncoding
	}
	peer, err := h.cfg.parse(a.identity)
	// A revoked identity lists no keys, so it can prove nothing.
	if err != nil || peer.Revoked() {
		return ReasonIdentity
	}
	if !peer.VerifyingKey().Verify(h.schedule.signed(role, a.identity, a.speech), a.signature) {
		return ReasonSignature
	}
	// Our own identity comes back from somebody who reflects our proof, or from ourselves.
	if peer.Fingerprint() == h.cfg.Identity.Fingerprint() && !h.cfg.AllowSelf {
		return ReasonSelf
	}
	if fields == clientAuthFields {
		h.credentials, h.hop = a.credentials, compareHops(h.schedule, a.mark, h.binding)
	}
	h.schedule.absorb(sealed)
	h.peer, h.differ = peer, h.cfg.compare(speech)
	return 0
}

// signs returns what this end signs.
func (h *Handshake) signs(role label.Label) []byte {
	return h.schedule.signed(role, h.cfg.Identity.Bytes(), h.cfg.speech().bytes())
}
