package engine

import "fmt"

// A Speech is what an end speaks: the protocol of its application, and whether it signs
// messages. Both ends state theirs in the handshake, encrypted and signed. It always has
// the same size, so that a hop does not even learn the length of the name:
//
//	size  meaning
//	1     proof
//	1     length n of the protocol, 1 to 255
//	n     protocol
//	rest  zeros, up to 257
type Speech struct {
	Protocol string
	Proof    Proof // from another end it may be any value
}

const speechSize = 1 + 1 + MaxProtocol

func (s Speech) bytes() []byte {
	b := make([]byte, speechSize)
	b[0], b[1] = byte(s.Proof), byte(len(s.Protocol))
	copy(b[2:], s.Protocol)
	return b
}

// parseSpeech reads speechSize bytes.
func parseSpeech(b []byte) (s Speech, ok bool) {
	proof, n, rest := Proof(b[0]), int(b[1]), b[2:]
	return Speech{string(rest[:n]), proof}, n > 0 && allZero(rest[n:])
}

// speech is what this end speaks.
func (c Config) speech() Speech { return Speech{c.Protocol, c.Proof} }

// compare returns how the other end's speech differs, or nil if it is the same.
func (c Config) compare(theirs Speech) *SpeechError {
	if own := c.speech(); own != theirs {
		return &SpeechError{Own: own, Theirs: theirs}
	}
	return nil
}

// A SpeechError ends a handshake of two ends that do not speak the same. The other end has
// proved who it is, so what it says about itself is authentic.
type SpeechError struct{ Own, Theirs Speech }

// Error says what each end speaks.
func (e *SpeechError) Error() string {
	return fmt.Sprintf("engine: the other end speaks %q with proof %d, this end %q with proof %d",
		e.Theirs.Protocol, e.Theirs.Proof, e.Own.Protocol, e.Own.Proof)
}
