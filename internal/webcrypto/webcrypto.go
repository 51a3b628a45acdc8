// Package webcrypto lets the core of the npm package seal and open large messages with
// WebCrypto, which is dozens of times as fast as Go's AES in wasm and does not hold the page up.
// WebCrypto answers later, and Go in a page never waits. So a message is sealed and opened in
// steps, and what lies between two of them is JavaScript's: AES-256-GCM and SHA-256 of the body.
//
// The steps are those of packages envelope and keys, with all their checks in the same order.
// They are no API for applications, since the key of a body leaves the package. So the packages
// put them here, and only the core calls them.
package webcrypto

// Steps that the packages put here when they are initialised.
var (
	// Seal takes an *envelope.Sealer and the size of the plaintext. It returns nil where the
	// key of the body serves other messages too: such a key does not leave the core.
	Seal func(sealer any, size int) (*Sealing, error)
	// Open takes an *envelope.Opener and a message, which may be overwritten afterwards. It
	// returns nil as Seal does.
	Open func(opener any, sealed []byte) (*Opening, error)

	// MessageKey takes a *keys.SharedKey and a nonce. It returns the AES-256-GCM key that
	// XAES-256-GCM derives for this nonce, and nil for a pair of another type.
	MessageKey func(pair any, nonce []byte) []byte
	// Count counts a message of this size for a *keys.SharedKey.
	Count func(pair any, size int) error
)

// A Body says how the body of one message is sealed: AES-256-GCM, the tag behind the ciphertext.
type Body struct {
	Key   []byte // 32 bytes, for this message alone
	Nonce []byte // 12 bytes
	Start int    // of the ciphertext in the body, behind this nonce or a longer one
	AAD   []byte
}

// A Digest says what SHA-256 is made of: Before, the body and After.
type Digest struct{ Before, After []byte }

// A Sealing is a message that wants its body.
type Sealing struct {
	Body
	Digest        // its Before has the nonce already
	Head   []byte // the envelope up to the ciphertext
	Length uint32 // what the padded plaintext begins with, 4 bytes big-endian, before data and zeros
	Padded int    // bytes of padded plaintext

	// Prove returns what stands behind the tag.
	Prove func(digest []byte) ([]byte, error)
}

// An Opening is a message whose proof and body are to be judged, in this order.
type Opening struct {
	Digest
	At, Size int // of the body in the message, nonce included

	// Verify returns what opens the body: nothing is decrypted before.
	Verify func(digest []byte) (Body, error)
	// Finish takes the padded plaintext, nil where the body does not open. It returns the data
	// in it, and the envelope.Header; and neither, nor does it claim the message, unless Verify
	// has said yes and the plaintext is as long as the body says.
	Finish func(padded []byte) (data []byte, header any, err error)
}
