package engine

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// Vectors of messages are what data records carry, one frame a message. The engine looks
// at headers only: what else they hold the tests of package e2e try.

const (
	malformed   = "malformed message"
	misbehaved  = "misbehaved"
	notItsOwner = "signature"
)

func messagesVector() *vector {
	return &vector{Kind: "messages", Expect: "open", Session: testSecret("session id"), Number: 1}
}

// A speaker writes the messages of a vector.
type speaker struct {
	*vector
	number  uint64
	signer  string // of the next messages, "" where they are not signed
	key     []byte // that they name
	fromOne bool   // the client
	changes map[string]func([]byte) []byte
}

func (v *vector) speaker() *speaker { return &speaker{vector: v, number: v.Number} }

// signs has the sender, a client or a server, sign what follows.
func (p *speaker) signs(client bool, name, signer string) {
	end := &vectorEnd{Identity: statement(name, 1), Signing: testSecret(signer)}
	p.Proof, p.signer, p.fromOne = 1, signer, client
	if p.Client, p.Server = nil, end; client {
		p.Client, p.Server = end, nil
	}
	p.key = keyIDOf(signer)
}

func keyIDOf(signer string) []byte {
	return sum(append([]byte("hopseal/1 keys signing key id\x00\x01"), publicOf(testSigner(signer))...))
}

func (p *speaker) may(what string, b []byte) []byte {
	if f := p.changes[what]; f != nil {
		return f(bytes.Clone(b))
	}
	return b
}

// say appends a message.
func (p *speaker) say(m vectorMessage) {
	if m.Time == 0 {
		m.Time = vectorTime * 1000
	}
	header := binary.BigEndian.AppendUint64(nil, uint64(m.Kind)<<56|uint64(m.Time)<<8|uint64(len(m.Type)))
	header = append(header, m.Type...)
	if m.Kind == 2 || m.Kind == 3 || m.Kind > 4 {
		header = append(header, uint64s(m.Answers)...)
	}
	var signature []byte
	if p.signer != "" && m.Kind != 3 && m.Kind < 7 {
		role := byte(0)
		if p.fromOne {
			role = 1
		}
		header = append(header, p.may("key", p.key)...)
		place := append(p.may("role", uint8s(role)), uint64s(p.number)...)
		signed := labelled("signed message", p.may("session", p.Session), p.may("place", place), sum(m.Body), header)
		signature = p.may("signature", ed25519.Sign(testSigner(p.signer), p.may("signed", signed)))
	}
	p.Frames = append(p.Frames, p.may("message", slices.Concat(header, signature, m.Body)))
	p.Messages = append(p.Messages, m)
	p.number++
}

func (p *speaker) raw(frame []byte) { p.Frames = append(p.Frames, frame) }

func goodMessages() (all []making) {
	add := func(name, comment string, say func(p *speaker)) {
		all = append(all, making{"good-messages-" + name, func() *vector {
			v := messagesVector()
			v.Comment = comment
			say(v.speaker())
			return v
		}})
	}
	add("example", "a message, a request, and messages that are empty", func(p *speaker) {
		p.say(vectorMessage{Kind: 0, Type: "greeting", Body: []byte("hello")})
		p.say(vectorMessage{Kind: 1, Type: "sum", Body: []byte("1 + 1")})
		p.say(vectorMessage{Kind: 0, Type: "nothing"})
		p.say(vectorMessage{Kind: 0})
	})
	add("types", "the longest type, letters of other scripts, a byte of zero, and the last millisecond", func(p *speaker) {
		p.say(vectorMessage{Kind: 0, Type: strings.Repeat("t", 128)})
		p.say(vectorMessage{Kind: 1, Type: "größe/文字/🦭"})
		p.say(vectorMessage{Kind: 0, Type: "\ufeffa\x00b", Time: 1<<48 - 1})
	})
	add("answers", "an answer, and refusals for each reason, to messages that were sent", func(p *speaker) {
		p.Sent = 7
		p.say(vectorMessage{Kind: 2, Answers: 1, Body: []byte("2")})
		for why := range byte(5) {
			p.say(vectorMessage{Kind: 3, Answers: uint64(why) + 2, Body: []byte{0, why + 1}})
		}
		p.say(vectorMessage{Kind: 3, Answers: 7, Body: append([]byte{0, 6, 1, 2}, "no such pear"...)})
	})
	add("answers-longest", "a refusal with the longest text, and one without any", func(p *speaker) {
		p.Sent = 2
		p.say(vectorMessage{Kind: 3, Answers: 2, Body: append([]byte{0, 6, 255, 255}, strings.Repeat("t", 1024)...)})
		p.say(vectorMessage{Kind: 3, Answers: 1, Body: []byte{0, 6, 0, 0}})
	})
	add("answers-unknown", "refusals for the last reason that is known, and for others", func(p *speaker) {
		p.Sent = 3
		p.say(vectorMessage{Kind: 3, Answers: 1, Body: []byte{0, 7}})
		p.say(vectorMessage{Kind: 3, Answers: 2, Body: []byte{0, 8}})
		p.say(vectorMessage{Kind: 3, Answers: 3, Body: []byte{255, 255}})
	})
	add("signed", "a client signs, in all kinds but those that it need not", func(p *speaker) {
		p.signs(true, "alice", "alice signing")
		p.Sent = 2
		p.say(vectorMessage{Kind: 0, Type: "order", Body: []byte("one pear")})
		p.say(vectorMessage{Kind: 1, Type: "order"})
		p.say(vectorMessage{Kind: 2, Answers: 1, Body: []byte("yes")})
		p.say(vectorMessage{Kind: 3, Answers: 2, Body: []byte{0, 1}})
		p.say(vectorMessage{Kind: 4, Type: "log"})
		p.say(vectorMessage{Kind: 5, Answers: 5, Body: []byte("a line")})
		p.say(vectorMessage{Kind: 6, Answers: 5, Body: uint64s(6)})
	})
	add("signed-by-server", "a server signs, in a session that is no longer young", func(p *speaker) {
		p.Number, p.number = 1<<40, 1<<40
		p.signs(false, "bob", "bob signing")
		p.say(vectorMessage{Kind: 0, Type: "bill", Body: []byte("one pear: 2")})
	})
	add("signed-by-retired", "a retired key has signed, when it was good; and the primary one, which needs no window", func(p *speaker) {
		p.signs(true, "carol", "carol retired signing")
		p.say(vectorMessage{Kind: 0, Time: vectorTime*1000 - 1, Body: []byte("before")})
		p.signer, p.key = "carol signing", keyIDOf("carol signing")
		p.say(vectorMessage{Kind: 0, Time: vectorTime*1000 - 1, Body: []byte("before too")})
	})
	add("streams", "two streams at a time, one of which is given up", func(p *speaker) {
		p.say(vectorMessage{Kind: 4, Type: "log", Body: []byte("what stands ahead")})
		p.say(vectorMessage{Kind: 4, Type: "film"})
		p.say(vectorMessage{Kind: 5, Answers: 1, Body: []byte("line 1")})
		p.say(vectorMessage{Kind: 5, Answers: 2, Body: []byte("frame")})
		p.say(vectorMessage{Kind: 0, Body: []byte("between")})
		p.say(vectorMessage{Kind: 5, Answers: 1, Body: []byte("line 2")})
		p.say(vectorMessage{Kind: 7, Answers: 2})
		p.say(vectorMessage{Kind: 6, Answers: 1, Body: uint64s(12)})
	})
	add("streams-credit", "all of a stream that may be sent before more is granted", func(p *speaker) {
		p.say(vectorMessage{Kind: 4, Type: "log"})
		p.say(vectorMessage{Kind: 5, Answers: 1, Body: make([]byte, 16<<10-1)})
		p.say(vectorMessage{Kind: 5, Answers: 1, Body: []byte{1}})
		p.say(vectorMessage{Kind: 6, Answers: 1, Body: uint64s(16 << 10)})
	})
	add("streams-empty", "a stream of nothing, with the most that may stand ahead of it", func(p *speaker) {
		p.say(vectorMessage{Kind: 4, Type: "log", Body: bytes.Repeat([]byte{7}, 4096)})
		p.say(vectorMessage{Kind: 6, Answers: 1, Body: uint64s(0)})
	})
	add("streams-most", "64 streams at a time, and another once one is given up", func(p *speaker) {
		for range 64 {
			p.say(vectorMessage{Kind: 4})
		}
		p.say(vectorMessage{Kind: 7, Answers: 64})
		p.say(vectorMessage{Kind: 4})
	})
	return all
}

func badMessages() (all []making) {
	add := func(name, comment, expect string, say func(p *speaker)) {
		all = append(all, making{"bad-messages-" + name, func() *vector {
			v := messagesVector()
			v.Comment, v.Expect = comment, expect
			p := v.speaker()
			p.say(vectorMessage{Kind: 0, Body: []byte("honest")})
			say(p)
			v.Messages = v.Messages[:len(v.Frames)-1]
			return v
		}})
	}
	one := func(m vectorMessage) func(p *speaker) { return func(p *speaker) { p.say(m) } }
	raw := func(frame ...byte) func(p *speaker) { return func(p *speaker) { p.raw(frame) } }
	head := func(kind, length byte, more ...byte) func(p *speaker) {
		return raw(append([]byte{kind, 1, 2, 3, 4, 5, 6, length}, more...)...)
	}
	add("empty", "nothing", malformed, raw())
	add("short", "a byte less than a header", malformed, raw(make([]byte, 7)...))
	add("kind-11", "the first kind that there is not", malformed, head(11, 0, uint64s(1)...))
	add("kind-255", "a kind that there is not", malformed, head(255, 0))
	add("type-cut", "a type that is longer than the message", malformed, head(0, 4, 't', 'y', 'p'))
	add("type-long", "a type of 129 bytes", malformed, head(0, 129, make([]byte, 200)...))
	add("type-not-utf-8", "a type that is not UTF-8", malformed, head(0, 2, 0xc3, 0x28))
	add("type-surrogate", "a type with half of a pair of UTF-16", malformed, head(0, 3, 0xed, 0xa0, 0x80))
	add("type-in-answer", "an answer with a type", malformed, head(2, 1, append([]byte{'t'}, uint64s(1)...)...))
	add("answer-cut", "an answer without all of the number that it answers", malformed, head(2, 0, uint64s(1)[:7]...))
	add("piece-cut", "a piece without all of the number of its stream", malformed, head(5, 0, uint64s(1)[:7]...))

	answer := func(sent int, m vectorMessage) func(p *speaker) {
		return func(p *speaker) {
			p.Sent = sent
			p.say(m)
		}
	}
	add("answer-to-0", "an answer to no message", misbehaved, answer(1, vectorMessage{Kind: 2}))
	add("answer-to-nothing", "an answer to a message that was not sent", misbehaved, answer(1, vectorMessage{Kind: 2, Answers: 2}))
	add("answer-twice", "more answers than messages", misbehaved, func(p *speaker) {
		p.Sent = 1
		p.say(vectorMessage{Kind: 2, Answers: 1})
		p.say(vectorMessage{Kind: 2, Answers: 1})
	})
	refusal := func(body ...byte) func(p *speaker) { return answer(1, vectorMessage{Kind: 3, Answers: 1, Body: body}) }
	add("refusal-empty", "a refusal that does not say why", misbehaved, refusal())
	add("refusal-short", "a refusal of one byte", misbehaved, refusal(1))
	add("refusal-0", "a refusal for reason 0", misbehaved, refusal(0, 0))
	add("refusal-more", "a refusal with a byte more", misbehaved, refusal(0, 1, 0))
	add("refusal-unknown-more", "a refusal for a reason that is not known, with a byte more", misbehaved, refusal(0, 8, 0))
	add("refusal-reply-short", "an application's refusal without all of its code", misbehaved, refusal(0, 6, 1))
	add("refusal-reply-long", "an application's refusal with 1,025 bytes of text", misbehaved, refusal(append([]byte{0, 6, 0, 0}, make([]byte, 1025)...)...))
	add("refusal-reply-not-utf-8", "an application's refusal whose text is not UTF-8", misbehaved, refusal(0, 6, 0, 0, 0xff))

	add("stream-ahead-long", "4,097 bytes ahead of a stream", misbehaved, one(vectorMessage{Kind: 4, Body: make([]byte, 4097)}))
	add("stream-65", "a 65th stream", misbehaved, func(p *speaker) {
		for range 65 {
			p.say(vectorMessage{Kind: 4})
		}
	})
	add("stream-65-ended", "a 65th stream, where the others have ended and nobody has read them", misbehaved, func(p *speaker) {
		for range 64 {
			p.say(vectorMessage{Kind: 4})
			p.say(vectorMessage{Kind: 6, Answers: p.number - 1, Body: uint64s(0)})
		}
		p.say(vectorMessage{Kind: 4})
	})
	add("stream-none", "a piece of a stream that there is not", misbehaved, one(vectorMessage{Kind: 5, Answers: 1, Body: []byte("piece")}))
	add("stream-cancel-none", "a cancel of a stream that there is not", misbehaved, answer(1, vectorMessage{Kind: 8, Answers: 1}))
	add("stream-credit-none", "credit for a stream that there is not", misbehaved, answer(1, vectorMessage{Kind: 9, Answers: 1, Body: uint64s(32 << 10)}))
	add("stream-done-none", "the end of reading a stream that there is not", misbehaved, answer(1, vectorMessage{Kind: 10, Answers: 1}))
	inStream := func(messages ...vectorMessage) func(p *speaker) {
		return func(p *speaker) {
			p.say(vectorMessage{Kind: 4})
			for _, m := range messages {
				m.Answers = 2
				p.say(m)
			}
		}
	}
	piece := vectorMessage{Kind: 5, Body: []byte("piece")}
	add("stream-piece-empty", "a piece of nothing", misbehaved, inStream(vectorMessage{Kind: 5}))
	add("stream-piece-beyond", "a piece of a byte more than there is credit for", misbehaved, inStream(vectorMessage{Kind: 5, Body: make([]byte, 16<<10+1)}))
	add("stream-pieces-beyond", "a piece behind one that has used the credit up", misbehaved, inStream(vectorMessage{Kind: 5, Body: make([]byte, 16<<10)}, piece))
	add("stream-end-short", "an end of seven bytes", misbehaved, inStream(vectorMessage{Kind: 6, Body: make([]byte, 7)}))
	add("stream-end-long", "an end of nine bytes", misbehaved, inStream(vectorMessage{Kind: 6, Body: make([]byte, 9)}))
	add("stream-end-wrong", "an end that tells of a byte more", misbehaved, inStream(piece, vectorMessage{Kind: 6, Body: uint64s(6)}))
	add("stream-end-twice", "a second end", misbehaved, inStream(vectorMessage{Kind: 6, Body: uint64s(0)}, vectorMessage{Kind: 6, Body: uint64s(0)}))
	add("stream-behind-end", "a piece behind the end", misbehaved, inStream(vectorMessage{Kind: 6, Body: uint64s(0)}, piece))
	add("stream-abort-body", "an abort with a body", misbehaved, inStream(vectorMessage{Kind: 7, Body: []byte("why")}))
	add("stream-behind-abort", "an end behind an abort", misbehaved, inStream(vectorMessage{Kind: 7}, vectorMessage{Kind: 6, Body: uint64s(0)}))

	signed := func(name, comment string, say func(p *speaker)) {
		all = append(all, making{"bad-messages-signed-" + name, func() *vector {
			v := messagesVector()
			v.Comment, v.Expect = comment, notItsOwner
			p := v.speaker()
			p.signs(true, "carol", "carol signing")
			p.say(vectorMessage{Kind: 0, Type: "order", Body: []byte("one pear")})
			say(p)
			v.Messages = v.Messages[:len(v.Frames)-1]
			return v
		}})
	}
	order := vectorMessage{Kind: 0, Type: "order", Body: []byte("one plum")}
	changed := func(what string, f func([]byte) []byte) func(p *speaker) {
		return func(p *speaker) {
			p.changes = map[string]func([]byte) []byte{what: f}
			p.say(order)
		}
	}
	by := func(signer, named string) func(p *speaker) {
		return func(p *speaker) {
			p.signer, p.key = signer, keyIDOf(named)
			p.say(order)
		}
	}
	signed("not", "no key, and no signature", func(p *speaker) {
		p.signer = ""
		p.say(vectorMessage{Kind: 0, Type: "order"})
	})
	signed("short", "half of a signature", changed("message", func(b []byte) []byte { return b[:8+5+32+32] }))
	signed("bit", "a bit of the signature is changed", changed("signature", flip(0)))
	signed("body", "a bit of the body is changed", changed("message", flip(-1)))
	signed("header", "the time is changed", changed("message", flip(3)))
	signed("other-session", "the signature is for another session", changed("session", flip(0)))
	signed("other-role", "the signature is for the other direction", changed("role", is(0)))
	signed("other-number", "the signature is for another number", changed("place", flip(-1)))
	signed("other-label", "the signature is one of a handshake", changed("signed", replaced("signed message", "client signature")))
	signed("again", "a signed message comes again, under another number", func(p *speaker) { p.raw(p.Frames[0]) })
	signed("by-another", "somebody else has signed, with a key of his own", by("mallory signing", "mallory signing"))
	signed("by-another-named", "somebody else has signed, and names the sender's key", by("mallory signing", "carol signing"))
	signed("other-key-named", "a retired key has signed, and the primary one is named", func(p *speaker) {
		p.signer = "carol retired signing"
		m := order
		m.Time = vectorTime*1000 - 1
		p.say(m)
	})
	signed("by-root", "the root has signed", by("carol root", "carol root"))
	signed("too-late", "a retired key has signed, when it was good no more", by("carol retired signing", "carol retired signing"))
	signed("too-early", "a retired key has signed, before it was good", func(p *speaker) {
		p.signer, p.key = "carol retired signing", keyIDOf("carol retired signing")
		m := order
		m.Time = vectorTime*1000 - 3600_001
		p.say(m)
	})
	return all
}

// runMessages reads the headers, and checks the signatures where there are some.
func (v *vector) runMessages(t *testing.T) error {
	t.Helper()
	for i, frame := range v.Frames {
		last := !v.opens() && i == len(v.Frames)-1
		h, size, err := ParseHeader(frame, "")
		if err != nil {
			if !last {
				t.Fatalf("message %d: %v", i, err)
			}
			return errors.New(malformed)
		}
		if last && v.Expect != notItsOwner {
			return errors.New(v.Expect) // which package e2e finds
		}
		body := frame[size:]
		if v.Proof == 1 && h.Kind != KindRefusal && h.Kind < KindStreamAbort {
			if body = v.signedBody(frame, h, size, v.Number+uint64(i)); body == nil {
				return errors.New(notItsOwner)
			}
		}
		got := vectorMessage{byte(h.Kind), h.Time.UnixMilli(), h.Type, h.Answers, bytes.Clone(body)}
		want := v.Messages[i]
		want.Body = append(hexBytes(nil), want.Body...)
		got.Body = append(hexBytes(nil), got.Body...)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("message %d is %+v, want %+v", i, got, want)
		}
	}
	return nil
}

// signedBody returns what follows a good signature, or nil.
func (v *vector) signedBody(frame []byte, h Header, size int, number uint64) []byte {
	end := v.Server
	if v.Client != nil {
		end = v.Client
	}
	if len(frame) < size+SignatureSize {
		return nil
	}
	name, signature := SplitSignature(frame[size : size+SignatureSize])
	body := frame[size+SignatureSize:]
	by := must(keys.ParsePublic(end.Identity))
	key, listed := by.VerifyingKeyByID(name)
	good := listed && (name == by.VerifyingKey().ID() || key.ValidAt(h.Time))
	if !good || !key.Verify(Signed([32]byte(v.Session), v.Client != nil, number, frame[:size], name, body), signature) {
		return nil
	}
	return append([]byte{}, body...)
}
