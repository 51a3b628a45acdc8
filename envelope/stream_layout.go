package envelope

import (
	"github.com/hopseal/hopseal/internal/gcm"
)

// The layout of a stream, docs/protocol.md section 3.6. Segments are AES-256-GCM
// under a key of their own, as in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár,
// CRYPTO 2015): a number and a mark of the last one make the nonce.
//
//	stream  = head ‖ segment … ‖ final proof
//	head    = array(4) [ version=1, header bin, recipients bin | nil, opening proof bin ]
//	header  = array(9) [ the eight fields of an envelope's, salt bin 32 ]
//	segment = ciphertext ‖ tag of: length, 4 bytes big-endian ‖ data ‖ zeros
const (
	segmentPlain = 1 << 16
	segmentData  = segmentPlain - lengthSize
	segmentSize  = segmentPlain + gcm.TagSize
	saltSize     = 32

	maxStream   = 1 << 47 // bytes of content
	maxSegments = 1 << 32 // of that and its padding
)

// plainSize returns how many bytes of segments' plaintext n bytes of content take before
// padding: full segments, and one that is not full.
func plainSize(n int64) int64 { return n/segmentData*segmentPlain + lengthSize + n%segmentData }
