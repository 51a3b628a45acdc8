package envelope

import (
	"math/bits"

	"github.com/hopseal/hopseal/internal/gcm"
)

// A ContentSize bounds the size of the content, in bytes, by the size of the message.
type ContentSize struct {
	Least, Most int64 // if the padding is the default, [Padding]'s zero value
	Limit       int64 // whatever the padding is
}

// Content returns how long the content can be.
func (in Inspection) Content() ContentSize {
	var size int64
	for _, p := range in.Parts {
		if p.Section == "body" || p.Section == "segments" {
			size += p.Size
		}
	}
	if in.Segments > 0 {
		return contentSizeOf(size-in.Segments*gcm.TagSize, segmentPlain)
	}
	return bodyContent(in.Header.Suite, size)
}

// bodyContent bounds the content's size by the body's. A nonce of the shared suites takes
// 24 bytes or 12, and the total tells which: all default totals are multiples of 8, so none
// is another one plus 12.
func bodyContent(s Suite, body int64) ContentSize {
	const wholly = 1 << 62 // content is not split
	total := body - gcm.NonceSize - gcm.TagSize
	c := contentSizeOf(total, wholly)
	if s != SuiteRecipients && defaultTotal(total-12) {
		limit := c.Limit
		c = contentSizeOf(total-12, wholly)
		c.Limit = limit
	}
	return c
}

// contentSizeOf bounds the size of content by the total of its padded form. That comes in
// blocks, and each block begins with a length.
func contentSizeOf(total, block int64) ContentSize {
	k, r := total/block, total%block
	limit := k*(block-lengthSize) + r - lengthSize
	if r < lengthSize {
		limit = k*(block-lengthSize) - 1 // one byte more begins another block
	}
	if !defaultTotal(total) {
		return ContentSize{0, limit, limit}
	}
	least := total
	for step := int64(1) << bits.Len64(uint64(total)); step > 0; step >>= 1 {
		if least >= step && padme(least-step) == total {
			least -= step
		}
	}
	k, r = least/block, least%block
	return ContentSize{k*(block-lengthSize) + max(0, r-lengthSize), limit, limit}
}

// defaultTotal reports whether the default padding can give that total.
func defaultTotal(total int64) bool { return padme(total) == total }
