package engine

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
)

// makings are all vectors. What is refused sorts before what opens.
func makings() []making {
	return slices.Concat(badHandshakes(), badAnswers(), badResumes(), badRefusals(), badRekeys(), badRecords(), badUpdates(), badCloses(), badMessages(),
		goodHandshakes(), goodResumes(), goodRefusals(), goodRekeys(), goodRecords(), goodUpdates(), goodCloses(), goodMessages())
}

// A wrong is one thing that an attacker, or a broken program, does.
type wrong struct {
	name, comment string
	reason        Reason
	frames        int // the last of them is refused
	changes       []change
	prepare       func(v *vector)
}

// Ways to change bytes.
func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
}

func is(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }
func to(b []byte) func([]byte) []byte  { return func([]byte) []byte { return bytes.Clone(b) } }
func shorter(b []byte) []byte          { return b[:len(b)-1] }
func longer(b []byte) []byte           { return append(b, 0) }
func lastByte(to byte) func([]byte) []byte {
	return func(b []byte) []byte { b[len(b)-1] = to; return b }
}
func firstByte(to byte) func([]byte) []byte { return func(b []byte) []byte { b[0] = to; return b } }
func onlyCode(c Code) func([]byte) []byte {
	return func(b []byte) []byte { clear(b); return firstByte(byte(c))(b) }
}
func one(what string, f func([]byte) []byte) []change { return []change{{what, f}} }

// replaced replaces a part of the bytes.
func replaced(old, with string) func([]byte) []byte {
	return func(b []byte) []byte {
		if bytes.Count(b, []byte(old)) != 1 {
			panic(fmt.Sprintf("%q is in %q %d times", old, b, bytes.Count(b, []byte(old))))
		}
		return bytes.Replace(b, []byte(old), []byte(with), 1)
	}
}

// ekWith is a client's encapsulation key with something wrong.
func unreducedEK(b []byte) []byte { b[0], b[1] = 0xff, b[1]|0x0f; return b }
func zeroEK(b []byte) []byte      { clear(b[:len(b)-32]); return b }

// nextBucket pads a plaintext to the size of a larger one.
func nextBucket(b []byte) []byte { return append(b, make([]byte, bucket(len(b)+1)-len(b))...) }

func makingsOf(kind string, wrongs []wrong, base func() *vector, run func(*script)) (all []making) {
	for _, w := range wrongs {
		all = append(all, making{"bad-" + kind + "-" + w.name, func() *vector {
			v := base()
			v.Comment, v.Expect = w.comment, w.reason.String()
			if w.prepare != nil {
				w.prepare(v)
			}
			run(&script{vector: v, changes: w.changes, frames: w.frames})
			return v
		}})
	}
	return all
}

func goodOf(kind, name, comment string, base func() *vector, prepare func(v *vector), run func(*script)) making {
	return making{"good-" + kind + "-" + name, func() *vector {
		v := base()
		v.Comment, v.Expect = comment, "open"
		if prepare != nil {
			prepare(v)
		}
		run(&script{vector: v})
		return v
	}}
}

// Handshakes.

func handshakeVector() *vector {
	return &vector{Kind: "handshake", Protocol: "test/1", Client: clientEnd(), Server: serverEnd(), Opened: new(vectorOpened)}
}

func badHandshakes() []making {
	revoked := statement("bob", 1<<64-1)
	return makingsOf("handshake", []wrong{
		{"m1-short", "m1 is one byte short", ReasonSize, 1, one("m1", shorter), nil},
		{"m1-long", "m1 is one byte long", ReasonSize, 1, one("m1", longer), nil},
		{"m1-share-bit", "a bit of the client's share is changed", ReasonCipher, 1, one("m1", flip(0)), nil},
		{"m1-ek-bit", "a bit of the encapsulation key is changed on the way", ReasonCipher, 1, one("m1", flip(100)), nil},
		{"m1-tag-bit", "a bit of the tag is changed", ReasonCipher, 1, one("m1", flip(-1)), nil},
		{"m1-other-version", "the client speaks another version", ReasonCipher, 1, one("prologue", replaced("hopseal/1", "hopseal/2")), nil},
		{"m1-other-purpose", "the prologue is that of another purpose, of the same length", ReasonCipher, 1, one("prologue", replaced("\x07session", "\x07sessiom")), nil},
		{"m1-ek-not-reduced", "a coefficient of the encapsulation key is not below 3329", ReasonKeyShare, 1, one("ek", unreducedEK), nil},
		{"m1-ek-zero", "all polynomials of the encapsulation key are zero", ReasonKeyShare, 1, one("ek", zeroEK), nil},
		{"m1-share-low-order", "the client's share is of low order", ReasonKeyShare, 1, one("client share", to(make([]byte, 32))), nil},

		{"m2-short", "m2 ends before server auth can", ReasonSize, 2, one("m2", func(b []byte) []byte { return b[:m2HeadSize+minAuthSize-1] }), nil},
		{"m2-ciphertext-bit", "a bit of the ML-KEM ciphertext is changed", ReasonCipher, 2, one("m2", flip(0)), nil},
		{"m2-share-bit", "a bit of the server's share is changed", ReasonCipher, 2, one("m2", flip(ctSize)), nil},
		{"m2-tag-bit", "a bit of the Noise tag is changed", ReasonCipher, 2, one("m2", flip(m2HeadSize-1)), nil},
		{"m2-auth-bit", "a bit of server auth is changed", ReasonCipher, 2, one("m2", flip(-1)), nil},
		{"m2-share-low-order", "the server's share is of low order, and the secret zero", ReasonCipher, 2,
			[]change{{"server share", to(make([]byte, 32))}, {"ee", to(make([]byte, 32))}}, nil},
		{"m2-psk-zero", "the server has left ML-KEM out: its key is zero", ReasonCipher, 2, one("psk", to(make([]byte, 32))), nil},
		{"m2-kem-of-rekey", "the key is derived for another purpose", ReasonCipher, 2, one("psk", flip(0)), nil},
		{"m2-auth-label", "server auth is sealed as client auth", ReasonCipher, 2, one("server auth label", to(labelled("client auth"))), nil},
		{"m2-padding-not-zero", "the padding of server auth is not zero", ReasonEncoding, 2, one("server auth plain", lastByte(1)), nil},
		{"m2-padding-too-much", "server auth is padded to the next bucket", ReasonEncoding, 2, one("server auth plain", nextBucket), nil},
		{"m2-values-more", "a byte follows the values of server auth", ReasonEncoding, 2, one("server auth values", longer), nil},
		{"m2-values-long-array", "the array of server auth has a longer head than it needs", ReasonEncoding, 2,
			one("server auth values", func(b []byte) []byte { return append([]byte{0xdc, 0, 3}, b[1:]...) }), nil},
		{"m2-values-as-client", "server auth has the values of client auth", ReasonEncoding, 2,
			one("server auth values", func(b []byte) []byte {
				b[0] = 0x95
				signature := bytes.Clone(b[len(b)-66:])
				return append(append(b[:len(b)-66], 0xc4, 0, 0xc4, 0), signature...)
			}), nil},
		{"m2-protocol-short", "what the server speaks has 256 bytes", ReasonEncoding, 2, one("server speech", shorter), nil},
		{"m2-protocol-empty", "the server's protocol has no name", ReasonEncoding, 2, one("server speech", to(make([]byte, 257))), nil},
		{"m2-protocol-padding", "something stands behind the name of the server's protocol", ReasonEncoding, 2, one("server speech", lastByte(1)), nil},
		{"m2-identity-bit", "the identity is not signed by its root", ReasonIdentity, 2, one("server identity", flip(-1)), nil},
		{"m2-identity-revoked", "the identity is revoked", ReasonIdentity, 2, one("server identity", to(revoked)), nil},
		{"m2-signature-bit", "a bit of the signature is changed before it is sealed", ReasonSignature, 2, one("server signature", flip(0)), nil},
		{"m2-signed-by-another", "somebody without the identity's key has signed", ReasonSignature, 2, one("server signer", to(testSecret("mallory signing"))), nil},
		{"m2-signed-by-root", "the root has signed in place of the signing key", ReasonSignature, 2, one("server signer", to(testSecret("bob root"))), nil},
		{"m2-signed-as-client", "the signature is made for the other role", ReasonSignature, 2, one("server signed", replaced("server", "client")), nil},
		{"m2-signed-another-transcript", "the signature is over another handshake", ReasonSignature, 2, one("server signed", flip(-40-257)), nil},
		{"m2-signed-another-identity", "the signature is over another identity", ReasonSignature, 2, one("server signed", flip(-1-257)), nil},
		{"m2-signed-another-protocol", "the signature is over another application protocol", ReasonSignature, 2, one("server signed", flip(-250)), nil},
		{"m2-own-identity", "the server shows the client's identity, and holds its key", ReasonSelf, 2,
			[]change{{"server identity", to(clientEnd().Identity)}, {"server signer", to(clientEnd().Signing)}}, nil},

		{"m3-short", "m3 is shorter than any", ReasonSize, 3, one("client auth", func(b []byte) []byte { return b[:minAuthSize-1] }), nil},
		{"m3-bit", "a bit of client auth is changed", ReasonCipher, 3, one("m3", flip(0)), nil},
		{"m3-reflected", "the server's own proof comes back", ReasonCipher, 3, nil, nil},
		{"m3-auth-label", "client auth is sealed as server auth", ReasonCipher, 3, one("client auth label", to(labelled("server auth"))), nil},
		{"m3-padding-not-zero", "the padding of client auth is not zero", ReasonEncoding, 3, one("client auth plain", lastByte(1)), nil},
		{"m3-credentials-long", "credentials of 4,097 bytes", ReasonEncoding, 3, one("credentials", to(make([]byte, 4097))), nil},
		{"m3-mark-short", "a hop mark of 31 bytes", ReasonEncoding, 3, one("mark", to(make([]byte, 31))), nil},
		{"m3-identity-bit", "the identity is not signed by its root", ReasonIdentity, 3, one("client identity", flip(-1)), nil},
		{"m3-signed-by-another", "somebody without the identity's key has signed", ReasonSignature, 3, one("client signer", to(testSecret("mallory signing"))), nil},
		{"m3-signed-as-server", "the signature is made for the other role", ReasonSignature, 3, one("client signed", replaced("client", "server")), nil},
		{"m3-signed-before-m2", "the signature is over the transcript before server auth", ReasonSignature, 3, one("client signed", flip(-40-257)), nil},
		{"m3-signed-another-protocol", "the signature is over another application protocol", ReasonSignature, 3, one("client signed", flip(-250)), nil},
		{"m3-protocol-padding", "something stands behind the name of the client's protocol", ReasonEncoding, 3, one("client speech", lastByte(1)), nil},
		{"m3-own-identity", "the client shows the server's identity, and holds its key", ReasonSelf, 3,
			[]change{{"client identity", to(serverEnd().Identity)}, {"client signer", to(serverEnd().Signing)}}, nil},

		{"m4-short", "m4 is one byte short", ReasonSize, 4, one("m4", shorter), nil},
		{"m4-bit", "a bit of m4 is changed", ReasonCipher, 4, one("m4", flip(0)), nil},
		{"m4-label", "the verdict is sealed under the label of a resume", ReasonCipher, 4, one("accept label", to(labelled("resume server hello"))), nil},
		{"m4-code", "a code of resumes", ReasonEncoding, 4, one("accept fields", firstByte(3)), nil},
		{"m4-code-too-high", "a code above all that there are", ReasonEncoding, 4, one("accept fields", firstByte(6)), nil},
		{"m4-same-protocol", "the server says that the client speaks another protocol, which is not so", ReasonEncoding, 4, one("accept fields", firstByte(4)), nil},
		{"m4-hop", "a hop that there is not", ReasonEncoding, 4, one("accept fields", func(b []byte) []byte { b[1] = 3; return b }), nil},
		{"m4-hop-of-nothing", "a hop was compared with an empty mark", ReasonEncoding, 4, one("accept fields", func(b []byte) []byte { b[1] = 1; return b }), nil},
		{"m4-refused-with-lifetime", "a refusal with a lifetime", ReasonEncoding, 4, one("accept fields", to([]byte{1, 0, 0, 0, 0, 1})), nil},
		{"m4-data", "data beside the verdict", ReasonEncoding, 4, one("accept values", is(0)), nil},
		{"m4-padding-not-zero", "the padding of the verdict is not zero", ReasonEncoding, 4, one("accept plain", lastByte(1)), nil},
	}, handshakeVector, func(s *script) {
		s.handshake()
		if s.Comment == "the server's own proof comes back" {
			s.Frames[2] = s.Frames[1][m2HeadSize:]
		}
	})
}

// badAnswers are to a client that speaks another protocol.
func badAnswers() (all []making) {
	for name, code := range map[string]Code{"accepted": codeAccepted, "refused": CodeRefused} {
		all = append(all, making{"bad-handshake-m4-other-protocol-" + name, func() *vector {
			v := handshakeVector()
			v.Comment, v.Expect = "the server says "+name+" to a client that speaks another protocol", "another protocol"
			v.Server.Protocol, v.Opened.Code = "test/2", byte(codeSpeech)
			(&script{vector: v, changes: one("accept fields", firstByte(byte(code))), frames: 4}).handshake()
			return v
		}})
	}
	return all
}

func goodHandshakes() (all []making) {
	add := func(name, comment string, prepare func(v *vector)) {
		all = append(all, goodOf("handshake", name, comment, handshakeVector, prepare, (*script).handshake))
	}
	add("example", "a handshake without credentials, over a link without TLS", nil)
	add("credentials", "the client shows credentials, and is let in for an hour", func(v *vector) {
		v.Opened.Credentials, v.Opened.Lifetime = []byte("a token"), 3_600_000
	})
	add("credentials-longest", "credentials of 4,096 bytes", func(v *vector) {
		v.Opened.Credentials = bytes.Repeat([]byte{'c'}, MaxCredentials)
	})
	add("hop-unbroken", "both ends see one TLS connection", func(v *vector) {
		v.Client.Binding, v.Server.Binding = testSecret("binding"), testSecret("binding")
		v.Opened.Hop = byte(HopUnbroken)
	})
	add("hop-reterminated", "each end sees a TLS connection of its own", func(v *vector) {
		v.Client.Binding, v.Server.Binding = testSecret("binding"), testSecret("another binding")
		v.Opened.Hop = byte(HopReterminated)
	})
	add("hop-unknown", "only the client sees a TLS connection", func(v *vector) { v.Client.Binding = testSecret("binding") })
	add("proof", "a session whose messages are signed", func(v *vector) { v.Proof = 1 })
	add("protocol-longest", "an application protocol of 255 bytes", func(v *vector) { v.Protocol = string(bytes.Repeat([]byte{'p'}, MaxProtocol)) })
	add("refused", "the server refuses the client", func(v *vector) { v.Opened.Code = byte(CodeRefused) })
	add("unavailable", "the server has no room", func(v *vector) { v.Opened.Code = byte(CodeUnavailable) })
	add("lapsed", "the client's statement is out of its time, by the server's clock", func(v *vector) { v.Opened.Code = byte(CodeLapsed) })
	add("other-protocol", "the server speaks another application protocol", func(v *vector) {
		v.Server.Protocol, v.Opened.Code = "test/2", byte(codeSpeech)
	})
	add("other-proof", "the server signs its messages", func(v *vector) {
		signs := 1
		v.Server.Proof, v.Opened.Code = &signs, byte(codeSpeech)
	})
	return all
}

// Resumes.

func resumeVector() *vector {
	v := &vector{Kind: "resume", Protocol: "test/1", Client: clientEnd(), Server: serverEnd(),
		Secret: testSecret("resume secret"), Opened: &vectorOpened{Attempt: new(uint64), ClientReceived: new(uint64), ServerReceived: new(uint64), ClientArrived: new(uint64), ServerArrived: new(uint64)}}
	for _, e := range []*vectorEnd{v.Client, v.Server} {
		e.Signing, e.MLKEM, e.Encapsulation = nil, nil, nil
	}
	*v.Opened.Attempt, *v.Opened.ClientReceived, *v.Opened.ServerReceived = 1, 7, 12
	*v.Opened.ClientArrived, *v.Opened.ServerArrived = 7*minBucket, 12*minBucket
	return v
}

func badResumes() []making {
	return makingsOf("resume", []wrong{
		{"r1-id-bit", "the id is that of no secret", ReasonCipher, 1, one("r1", flip(0)), nil},
		{"r1-share-bit", "a bit of the client's share is changed", ReasonCipher, 1, one("r1", flip(32)), nil},
		{"r1-tag-bit", "a bit of the tag is changed", ReasonCipher, 1, one("r1", flip(-1)), nil},
		{"r1-other-secret", "the id is right, the secret another", ReasonCipher, 1, one("secret", flip(0)), nil},
		{"r1-other-protocol", "the client speaks another application protocol", ReasonCipher, 1, one("prologue", replaced("test/1", "test/2")), nil},
		{"r1-other-proof", "the client signs its messages", ReasonCipher, 1, one("prologue", lastByte(1)), nil},
		{"r1-share-low-order", "the client's share is of low order", ReasonKeyShare, 1, one("client share", to(make([]byte, 32))), nil},
		{"r2-short", "r2 is one byte short", ReasonSize, 2, one("r2", shorter), nil},
		{"r2-bit", "a bit of r2 is changed", ReasonCipher, 2, one("r2", flip(0)), nil},
		{"r2-share-low-order", "the server's share is of low order, and the secret zero", ReasonCipher, 2,
			[]change{{"server share", to(make([]byte, 32))}, {"ee", to(make([]byte, 32))}}, nil},
		{"r3-bit", "a bit of the client hello is changed", ReasonCipher, 3, one("r3", flip(-1)), nil},
		{"r3-label", "the client hello is sealed as a server hello", ReasonCipher, 3, one("resume client hello label", to(labelled("resume server hello"))), nil},
		{"r3-padding-not-zero", "the padding of the client hello is not zero", ReasonEncoding, 3, one("resume client hello plain", lastByte(1)), nil},
		{"r3-values-more", "a byte follows the values of the client hello", ReasonEncoding, 3, one("resume client hello values", longer), nil},
		{"r3-credentials-long", "credentials of 4,097 bytes", ReasonEncoding, 3, one("credentials", to(make([]byte, 4097))), nil},
		{"r3-mark-short", "a hop mark of 31 bytes", ReasonEncoding, 3, one("mark", to(make([]byte, 31))), nil},
		{"r3-identity-of-another", "the identity is that of somebody else", ReasonIdentity, 3, one("client identity", to(statement("mallory", 2))), nil},
		{"r3-identity-earlier", "the identity is an earlier statement of its root", ReasonIdentity, 3, one("client identity", to(statement("alice", 1))),
			func(v *vector) { v.Client.Identity = statement("alice", 2) }},
		{"r3-identity-revoked", "the identity is revoked", ReasonIdentity, 3, one("client identity", to(statement("alice", 1<<64-1))), nil},
		{"r4-bit", "a bit of the server hello is changed", ReasonCipher, 4, one("r4", flip(0)), nil},
		{"r4-code", "a code of handshakes", ReasonEncoding, 4, one("resume server hello fields", onlyCode(codeSpeech)), nil},
		{"r4-code-too-high", "a code above all that there are", ReasonEncoding, 4, one("resume server hello fields", onlyCode(CodeStale+1)), nil},
		{"r4-hop-of-nothing", "a hop was compared with an empty mark", ReasonEncoding, 4, one("resume server hello fields", func(b []byte) []byte { b[1] = 1; return b }), nil},
		{"r4-refused-with-position", "a refusal that says what has arrived", ReasonEncoding, 4, one("resume server hello fields", firstByte(1)), nil},
		{"r4-identity-of-another", "the identity is that of somebody else", ReasonIdentity, 4, one("server identity", to(statement("mallory", 2))), nil},
		{"r4-padding-too-much", "the server hello is padded to the next bucket", ReasonEncoding, 4, one("resume server hello plain", nextBucket), nil},
	}, resumeVector, (*script).resume)
}

func goodResumes() (all []making) {
	add := func(name, comment string, prepare func(v *vector)) {
		all = append(all, goodOf("resume", name, comment, resumeVector, prepare, (*script).resume))
	}
	add("example", "the first attempt to resume a session", nil)
	add("later-attempt", "the third attempt with a secret, with credentials and a TLS connection that both ends see", func(v *vector) {
		*v.Opened.Attempt, v.Opened.Credentials, v.Opened.Lifetime = 3, []byte("a token"), 60_000
		v.Client.Binding, v.Server.Binding = testSecret("binding"), testSecret("binding")
		v.Opened.Hop = byte(HopUnbroken)
	})
	add("within-messages", "each end has some of a message, and the link goes on behind it", func(v *vector) {
		*v.Opened.ClientArrived += pieceSize
		*v.Opened.ServerArrived += 3 * smallPieceSize
	})
	add("later-identities", "both ends show later statements of their roots", func(v *vector) {
		v.Client.Later, v.Server.Later = statement("alice", 3), statement("bob", 2)
	})
	for name, verdict := range map[string]struct {
		code    Code
		comment string
	}{
		"refused":     {CodeRefused, "the server refuses the client"},
		"unavailable": {CodeUnavailable, "the server has no room"},
		"unknown":     {CodeUnknown, "the session has gone since r1"},
		"lapsed":      {CodeLapsed, "the client's statement is out of its time, by the server's clock, or not its latest"},
		"stale":       {CodeStale, "the client's credentials are out of their time, by the server's clock"},
	} {
		add(name, verdict.comment, func(v *vector) {
			v.Opened.Code, *v.Opened.ServerReceived, *v.Opened.ServerArrived = byte(verdict.code), 0, 0
		})
	}
	return all
}

// Refusals of a resume.

func refusalVector() *vector {
	v := resumeVector()
	v.Kind, v.Opened, v.Server.Signing = "refusal", nil, testSecret("bob signing")
	return v
}

func badRefusals() []making {
	mallory, revoked := statement("mallory", 2), statement("bob", 1<<64-1)
	return makingsOf("refusal", []wrong{
		{"one-byte-0", "one byte, which anybody can send", ReasonSize, 2, one("refusal", is(0)), nil},
		{"short", "a byte shorter than any", ReasonSize, 2, one("refusal", func(b []byte) []byte { return b[:minRefusalSize-1] }), nil},
		{"first-byte", "the first byte is not 0", ReasonEncoding, 2, one("refusal", firstByte(1)), nil},
		{"encapsulation-bit", "a bit of the encapsulation is changed", ReasonCipher, 2, one("refusal", flip(1)), nil},
		{"encapsulation-low-order", "the encapsulation is of low order, and the secret zero", ReasonCipher, 2, one("refusal", func(b []byte) []byte { clear(b[1:33]); return b }), nil},
		{"bit", "a bit of the ciphertext is changed", ReasonCipher, 2, one("refusal", flip(100)), nil},
		{"tag-bit", "a bit of the tag is changed", ReasonCipher, 2, one("refusal", flip(-1)), nil},
		{"other-r1", "the refusal of another r1, said again", ReasonCipher, 2, []change{{"r1 sealed for", flip(0)}, {"r1 signed for", flip(0)}}, nil},
		{"info-without-r1", "it is sealed for no r1", ReasonCipher, 2, one("info", to(labelled("resume refusal"))), nil},
		{"signed-other-r1", "the refusal of another r1, which was opened and sealed again for this one", ReasonSignature, 2, one("r1 signed for", flip(40)), nil},
		{"signed-other-encapsulation", "the signature is over another encapsulation", ReasonSignature, 2, one("enc signed for", flip(0)), nil},
		{"signed-other-identity", "the signature is over another identity", ReasonSignature, 2, one("identity signed for", to(mallory)), nil},
		{"signed-by-another", "somebody without the identity's key has signed", ReasonSignature, 2, one("signer", to(testSecret("mallory signing"))), nil},
		{"signed-by-root", "the root has signed in place of the signing key", ReasonSignature, 2, one("signer", to(testSecret("bob root"))), nil},
		{"signed-as-handshake", "the signature is one of a handshake", ReasonSignature, 2, one("signed", replaced("resume refusal signature", "server signature")), nil},
		{"signature-bit", "a bit of the signature is changed before it is sealed", ReasonSignature, 2, one("signature", flip(0)), nil},
		{"identity-of-another", "somebody else has refused, and signed that", ReasonIdentity, 2,
			[]change{{"identity", to(mallory)}, {"signer", to(testSecret("mallory signing"))}}, nil},
		{"identity-earlier", "the identity is an earlier statement of its root", ReasonIdentity, 2, one("identity", to(statement("bob", 1))),
			func(v *vector) { v.Server.Identity = statement("bob", 2) }},
		{"identity-revoked", "the identity is revoked, so nobody can sign for it", ReasonSignature, 2, one("identity", to(revoked)), nil},
		{"identity-bit", "the identity is not signed by its root", ReasonIdentity, 2, one("identity", flip(-1)), nil},
		{"padding-not-zero", "the padding is not zero", ReasonEncoding, 2, one("plain", lastByte(1)), nil},
		{"padding-too-much", "it is padded to the next bucket", ReasonEncoding, 2, one("plain", nextBucket), nil},
		{"values-more", "a byte follows the values", ReasonEncoding, 2, one("values", longer), nil},
	}, refusalVector, (*script).refusal)
}

func goodRefusals() []making {
	later := func(v *vector) { v.Server.Later = statement("bob", 2) }
	return []making{
		goodOf("refusal", "example", "the server does not know the session", refusalVector, nil, (*script).refusal),
		goodOf("refusal", "later-identity", "the server, by a later statement, does not know the session", refusalVector, later, (*script).refusal),
	}
}

// Rekeys.

func rekeyVector() *vector {
	v := &vector{Kind: "rekey", Client: clientEnd(), Server: serverEnd(),
		Secret: testSecret("rekey secret"), Session: testSecret("session id"), Link: testSecret("link id")}
	for _, e := range []*vectorEnd{v.Client, v.Server} {
		e.Identity, e.Signing = nil, nil
	}
	return v
}

func badRekeys() []making {
	return makingsOf("rekey", []wrong{
		{"request-short", "the request is one byte short", ReasonEncoding, 1, one("request", shorter), nil},
		{"request-share-bit", "a bit of the client's share is changed", ReasonRekey, 1, one("request", flip(0)), nil},
		{"request-ek-bit", "a bit of the encapsulation key is changed", ReasonRekey, 1, one("request", flip(100)), nil},
		{"request-other-secret", "the client has another rekey secret", ReasonRekey, 1, one("secret", flip(0)), nil},
		{"request-other-session", "the request is that of another session", ReasonRekey, 1, one("session", flip(0)), nil},
		{"request-other-link", "the request is that of another link", ReasonRekey, 1, one("link", flip(0)), nil},
		{"request-ek-not-reduced", "a coefficient of the encapsulation key is not below 3329", ReasonRekey, 1, one("ek", unreducedEK), nil},
		{"request-ek-zero", "all polynomials of the encapsulation key are zero", ReasonRekey, 1, one("ek", zeroEK), nil},
		{"request-share-low-order", "the client's share is of low order", ReasonRekey, 1, one("client share", to(make([]byte, 32))), nil},
		{"answer-short", "the answer is one byte short", ReasonEncoding, 2, one("answer", shorter), nil},
		{"answer-share-bit", "a bit of the server's share is changed", ReasonRekey, 2, one("answer", flip(0)), nil},
		{"answer-ciphertext-bit", "a bit of the ML-KEM ciphertext is changed on the way", ReasonRekey, 2, one("answer", flip(100)), nil},
		{"answer-share-low-order", "the server's share is of low order, and the secret zero", ReasonRekey, 2,
			[]change{{"server share", to(make([]byte, 32))}, {"ee", to(make([]byte, 32))}}, nil},
		{"answer-reflected", "the client's request comes back, cut to the size of an answer", ReasonRekey, 2, nil, nil},
	}, rekeyVector, func(s *script) {
		s.rekey()
		s.Secrets = nil
		if s.Comment == "the client's request comes back, cut to the size of an answer" {
			s.Frames[1] = s.Frames[0][:32+1088+16]
		}
	})
}

func goodRekeys() []making {
	return []making{goodOf("rekey", "example", "the fields of a request and its answer", rekeyVector, nil, (*script).rekey)}
}

// Records.

func recordsVector() *vector {
	return &vector{Kind: "records", Expect: "open", Chain: testSecret("chain"), Link: testSecret("link id")}
}

// long takes two pieces.
var long = bytes.Repeat([]byte("piece"), 13_300)

func ackOf(received, credit, arrived uint64) []byte {
	return ack{received, credit, arrived}.append(nil)
}

func badRecords() (all []making) {
	add := func(name, comment string, reason Reason, say func(d *peerDirection)) {
		all = append(all, making{"bad-records-" + name, func() *vector {
			v := recordsVector()
			v.Comment, v.Expect = comment, reason.String()
			d := v.direction()
			d.say(typeData, nil, []byte("honest"))
			say(d)
			v.Records = v.Records[:min(len(v.Records), len(v.Frames)-1)]
			return v
		}})
	}
	padded := func(fields, data []byte) []byte { return appendPadded(nil, fields, data) }
	last := func(d *peerDirection) []byte { return d.Frames[len(d.Frames)-1] }
	forge := func(head byte, plain []byte) func(d *peerDirection) {
		return func(d *peerDirection) { d.Frames = append(d.Frames, d.sealed(head, plain)) }
	}
	bit := func(at int) func(d *peerDirection) {
		return func(d *peerDirection) {
			d.say(typeData, nil, []byte("changed"))
			copy(last(d), flip(at)(bytes.Clone(last(d))))
		}
	}
	add("bit", "a bit is changed", ReasonCipher, bit(10))
	add("tag-bit", "a bit of the tag is changed", ReasonCipher, bit(-1))
	add("last-bit", "the bit last is set on the way", ReasonCipher, func(d *peerDirection) {
		d.say(typeData, nil, []byte("changed"))
		last(d)[0] |= lastFlag
	})
	add("type-exchanged", "a message is made an ask on the way", ReasonCipher, func(d *peerDirection) {
		d.say(typeData, nil, nil)
		last(d)[0] = typeAsk
	})
	add("replay", "a record is repeated", ReasonCipher, func(d *peerDirection) { d.Frames = append(d.Frames, d.Frames[0]) })
	add("dropped", "a record is missing before this one", ReasonCipher, func(d *peerDirection) {
		d.say(typeData, nil, []byte("dropped"))
		d.say(typeData, nil, []byte("late"))
		d.Frames = slices.Delete(d.Frames, 1, 2)
	})
	add("other-link", "the record is that of another link", ReasonCipher, func(d *peerDirection) {
		d.Link = testSecret("other link id")
		d.say(typeData, nil, []byte("spliced"))
		d.Link = testSecret("link id")
	})
	add("generation-not-ended", "the sender has not moved on behind the bit last", ReasonCipher, func(d *peerDirection) {
		key, chain := d.key, d.chain
		d.say(typeData|lastFlag, nil, []byte("the last"))
		d.key, d.chain = key, chain
		d.say(typeData, nil, []byte("under the old key"))
	})
	add("generation-ended-early", "the sender has moved on without the bit last", ReasonCipher, func(d *peerDirection) {
		d.advance()
		d.say(typeData, nil, []byte("under the next key"))
	})
	add("generations-often", "a fifth generation ends before it is full, at once", ReasonGeneration, func(d *peerDirection) {
		for range 5 {
			d.say(typeData|lastFlag, nil, nil)
		}
	})
	add("generation-full", "the generation is full with this record, and does not end", ReasonGeneration, func(d *peerDirection) {
		d.Bytes = generationBytes - 2*64
		d.say(typeData, nil, []byte("one too many"))
	})
	add("short", "a frame that no record is so short as", ReasonSize, func(d *peerDirection) { d.Frames = append(d.Frames, make([]byte, recordOverhead+minBucket-1)) })
	add("type-0", "type 0", ReasonType, forge(0, padded(nil, nil)))
	add("type-31", "type 31", ReasonType, forge(31, padded(nil, nil)))
	add("epoch", "a record of the next epoch, without a switch", ReasonType, forge(1<<6|typeData, padded(nil, nil)))
	add("padding-not-zero", "the padding is not zero", ReasonEncoding, forge(typeData, lastByte(1)(padded(nil, []byte("data")))))
	add("padding-too-much", "padded to the next bucket", ReasonEncoding, forge(typeData, nextBucket(padded(nil, []byte("data")))))
	add("ask-with-data", "an ask with data", ReasonEncoding, forge(typeAsk, padded(nil, []byte("data"))))
	add("update-answer-with-data", "an answer to an update with data", ReasonEncoding, forge(typeUpdateAnswer, padded(make([]byte, 5), []byte("data"))))
	add("ack-with-data", "an ack with data", ReasonEncoding, forge(typeAck, padded(ackOf(0, 1<<20, 0), []byte("data"))))
	add("close-with-data", "a close with data", ReasonEncoding, forge(typeClose, padded(appendClose(nil, 0, 0), []byte("data"))))
	add("piece-short", "a piece that is not the last, and not of 65,536 bytes", ReasonSize, func(d *peerDirection) {
		d.record(typePart, appendPadded(nil, nil, long)[:pieceSize-128])
	})
	add("piece-of-short-message", "a piece of a message that needs only one", ReasonEncoding, func(d *peerDirection) {
		d.record(typePart, appendPadded(nil, nil, make([]byte, pieceSize-lengthSize)))
	})
	add("piece-between-sizes", "a piece of 8,192 bytes", ReasonSize, func(d *peerDirection) {
		d.record(typePart, appendPadded(nil, nil, long)[:2*smallPieceSize])
	})
	add("piece-last-short", "the last piece is shorter than what is left", ReasonSize, func(d *peerDirection) {
		plain := appendPadded(nil, nil, long)
		d.record(typePart, plain[:pieceSize])
		d.record(typeData, plain[pieceSize:len(plain)-128])
	})
	add("piece-last-missing", "a piece where the last is due", ReasonSize, func(d *peerDirection) {
		plain := appendPadded(nil, nil, long)
		d.record(typePart, plain[:pieceSize])
		d.record(typePart, plain[:pieceSize])
	})
	add("piece-padding-not-zero", "the padding of a message in two pieces is not zero", ReasonEncoding, func(d *peerDirection) {
		plain := lastByte(1)(appendPadded(nil, nil, long))
		d.record(typePart, plain[:pieceSize])
		d.record(typeData, plain[pieceSize:])
	})
	add("length-beyond", "the length says more than there is", ReasonEncoding, forge(typeAsk, append([]byte{0, 0, 0, 61}, make([]byte, 60)...)))
	return all
}

func goodRecords() (all []making) {
	add := func(name, comment string, prepare func(v *vector), say func(d *peerDirection)) {
		all = append(all, making{"good-records-" + name, func() *vector {
			v := recordsVector()
			v.Comment = comment
			if prepare != nil {
				prepare(v)
			}
			say(v.direction())
			return v
		}})
	}
	add("example", "one record of each type", nil, func(d *peerDirection) {
		d.say(typeData, nil, []byte("attack at dawn"))
		d.say(typeAsk, nil, nil)
		d.say(typeAck, ackOf(0, 1<<20, 0), nil)
		d.say(typeClose, appendClose(nil, 1, 1), nil)
	})
	add("sizes", "messages around the borders of buckets", nil, func(d *peerDirection) {
		for _, n := range []int{0, 1, 60, 61, 124, 125, 1000, 3000} {
			d.say(typeData, nil, bytes.Repeat([]byte{byte(n)}, n))
		}
	})
	add("generations", "the sender moves on behind the bit last, twice in a row too", nil, func(d *peerDirection) {
		for _, kind := range []byte{typeData, typeData | lastFlag, typeData, typeAsk | lastFlag, typeData | lastFlag, typeData} {
			d.say(kind, nil, nil)
		}
	})
	add("generations-early", "four generations end before they are full, at once", nil, func(d *peerDirection) {
		for range 4 {
			d.say(typeAsk|lastFlag, nil, nil)
		}
		d.say(typeData, nil, nil)
	})
	add("generation-by-bytes", "the generation ends with the record that makes it full; that is not early, however often", func(v *vector) { v.Bytes = generationBytes - 64 }, func(d *peerDirection) {
		d.say(typeData|lastFlag, nil, []byte("the last"))
		for range 4 {
			d.say(typeAsk|lastFlag, nil, nil)
		}
	})
	add("generation-by-count", "the generation ends behind its 1,024th record", func(v *vector) { v.Number = 1022 }, func(d *peerDirection) {
		for i := range 4 {
			d.say(typeData, nil, []byte{byte(i)})
		}
	})
	add("epoch-3", "records of the fourth epoch, whose link id and chain come from a rekey", func(v *vector) { v.Epoch, v.Number = 3, 5000 }, func(d *peerDirection) {
		d.say(typeData, nil, []byte("healed"))
		d.say(typeAsk, nil, nil)
	})
	add("pieces", "a message in two pieces, with an ask in between", nil, func(d *peerDirection) {
		plain := appendPadded(nil, nil, long)
		d.record(typePart, plain[:pieceSize])
		d.say(typeAsk, nil, nil)
		d.record(typeData, plain[pieceSize:])
		d.Records = append(d.Records, vectorRecord{Type: typeData, Data: long})
	})
	add("pieces-of-both-sizes", "a message in pieces of which the first are small", nil, func(d *peerDirection) {
		longer := appendPadded(nil, nil, bytes.Repeat(long, 2))
		for _, size := range []int{smallPieceSize, smallPieceSize, pieceSize} {
			d.record(typePart, longer[:size])
			longer = longer[size:]
		}
		d.record(typeData, longer)
		d.Records = append(d.Records, vectorRecord{Type: typeData, Data: bytes.Repeat(long, 2)})
	})
	return all
}

// The signatures of vectors are by the keys that their identities list.
func TestVectorIdentities(t *testing.T) {
	for _, e := range []*vectorEnd{clientEnd(), serverEnd()} {
		id := (&vector{Protocol: "test/1"}).config(e).Identity
		if !id.VerifyingKey().Verify([]byte("m"), ed25519.Sign(ed25519.NewKeyFromSeed(e.Signing), []byte("m"))) {
			t.Errorf("%s has another key", id.Name())
		}
	}
}
