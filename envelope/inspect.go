package envelope

import (
	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// An Inspection is what anybody on the way can see of an envelope or a stream.
// None of it is authenticated: whoever passed it on may have written it.
type Inspection struct {
	Header     Header
	Salt       [32]byte            // of a stream, zero for an envelope
	Recipients []keys.SealingKeyID // none in the shared suites
	Segments   int64               // of a stream, 0 for an envelope
	Parts      []Part              // in order, covering every byte once
}

// A Part is a run of bytes of an envelope or a stream. The names stay as they are:
//
//	section        names
//	framing        envelope array | stream array, version, header size,
//	               recipients size | no recipients, body size, proof size |
//	               opening proof size
//	header         header array, suite, sender, seal key id, proof key id,
//	               message id, time, content type, context, salt (of a stream)
//	recipients     recipients array, and for each recipient its
//	               recipient key id, encapsulation, sealed content key
//	body           nonce, ciphertext, tag in SuiteRecipients, else
//	               nonce and ciphertext, tag: only the key tells where one ends
//	proof          proof
//	opening proof  opening proof
//	segments       full segments (all but the last), last segment
//	final proof    final proof
//
// docs/protocol.md section 3 uses the same names for all sections but framing.
type Part struct {
	Section string
	Name    string
	Offset  int64 // from the first byte of the whole
	Size    int64 // in bytes
	Head    int   // how many of the bytes say only the type and length of what follows
}

// Inspect takes an envelope apart without any key, for debugging and for showing what a
// hop sees. It accepts every envelope that is well formed, forged or not. Its errors
// match [ErrOpen]. [InspectStream] is for streams.
func Inspect(sealed []byte) (Inspection, error) {
	h, p, err := parse(sealed, "", "")
	if err != nil {
		return Inspection{}, err
	}
	if len(p.body) < gcm.NonceSize+lengthSize+gcm.TagSize {
		return Inspection{}, fail(ReasonBody)
	}
	in := Inspection{Header: h}
	if in.Recipients, err = recipientIDs(p.recipients); err != nil {
		return Inspection{}, err
	}
	l := lister{rest: sealed}
	l.next("framing", "envelope array")
	l.addHead(headerNames[:headerFields], len(in.Recipients))
	l.size("body size")
	body := len(p.body) - gcm.TagSize
	if h.Suite == SuiteRecipients {
		l.add("body", "nonce", 0, gcm.NonceSize)
		l.add("body", "ciphertext", 0, body-gcm.NonceSize)
	} else {
		l.add("body", "nonce and ciphertext", 0, body)
	}
	l.add("body", "tag", 0, gcm.TagSize)
	l.size("proof size")
	l.add("proof", "proof", 0, len(p.proof))
	in.Parts = l.parts
	return in, nil
}

// Sections returns one part for each section, with the section's name: the parts of
// the section put together.
func (in Inspection) Sections() []Part {
	var out []Part
	for _, p := range in.Parts {
		if last := len(out) - 1; last >= 0 && out[last].Section == p.Section {
			out[last].Size += p.Size
			continue
		}
		out = append(out, Part{p.Section, p.Section, p.Offset, p.Size, 0})
	}
	return out
}

// recipientIDs returns the key ids in a recipients field.
func recipientIDs(field []byte) (ids []keys.SealingKeyID, err error) {
	if field == nil {
		return nil, nil
	}
	if !eachRecipient(field, func(id keys.SealingKeyID, _ []byte) { ids = append(ids, id) }) {
		return nil, fail(ReasonMalformed)
	}
	return ids, nil
}

var headerNames = [...]string{"suite", "sender", "seal key id", "proof key id", "message id", "time", "content type", "context", "salt"}

// sealedKeyTail is the size of what follows the encapsulation in a sealed key: the
// encrypted content key and its tag.
const sealedKeyTail = contentSize + gcm.TagSize

// A lister names the bytes of a well-formed envelope or stream, from the first to the last.
type lister struct {
	rest  []byte
	at    int64
	parts []Part
}

func (l *lister) add(section, name string, head, value int) {
	l.addUnread(section, name, head, int64(head+value))
	l.rest = l.rest[head+value:]
}

// addUnread adds a part whose bytes are not in rest.
func (l *lister) addUnread(section, name string, head int, size int64) {
	if size > 0 {
		l.parts = append(l.parts, Part{section, name, l.at, size, head})
		l.at += size
	}
}

// next adds the next value of the encoding.
func (l *lister) next(section, name string) {
	r := strict.NewReader(l.rest)
	head, value := r.Next()
	l.add(section, name, head, value)
}

// size adds the head of a byte string. Its content is added afterwards.
func (l *lister) size(name string) {
	r := strict.NewReader(l.rest)
	head, _ := r.Next()
	l.add("framing", name, head, 0)
}

// addHead adds the version, the header and the recipients, which envelopes and streams have
// in common.
func (l *lister) addHead(fields []string, recipients int) {
	l.next("framing", "version")
	l.size("header size")
	l.next("header", "header array")
	for _, name := range fields {
		l.next("header", name)
	}
	if recipients == 0 {
		l.size("no recipients")
		return
	}
	l.size("recipients size")
	l.next("recipients", "recipients array")
	for range recipients {
		l.add("recipients", "recipient key id", 1+2, idSize) // the pair's head, too
		l.add("recipients", "encapsulation", 3, keys.SealedKeySize-sealedKeyTail)
		l.add("recipients", "sealed content key", 0, sealedKeyTail)
	}
}
