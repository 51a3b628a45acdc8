package envelope

import (
	"io"

	"github.com/hopseal/hopseal/internal/gcm"
)

// InspectStream takes a stream apart as [Inspect] does an envelope. It reads src to its
// end and keeps only the head in memory: 1.2 MB with 1,000 recipients. It returns an error
// of src as it is; its other errors match [ErrOpen].
//
// The end of a stream that was cut short looks like any other end. Only opening or
// verifying the stream shows it.
func InspectStream(src io.Reader) (Inspection, error) {
	s, err := readStream(src, "", "", 0)
	if err != nil {
		return Inspection{}, err
	}
	in := Inspection{Header: s.Header, Salt: [saltSize]byte(s.head.salt)}
	if in.Recipients, err = recipientIDs(s.head.recipients); err != nil {
		return Inspection{}, err
	}
	size, err := io.Copy(io.Discard, s.src)
	if err != nil {
		return Inspection{}, err
	}
	size -= int64(s.Suite.proofSize())
	last := (size-1)%segmentSize + 1
	if last < lengthSize+gcm.TagSize {
		return Inspection{}, fail(ReasonMalformed)
	}
	in.Segments = (size-last)/segmentSize + 1
	l := lister{rest: s.head.append(nil)} // there is one encoding: the bytes that were read
	l.next("framing", "stream array")
	l.addHead(headerNames[:], len(in.Recipients))
	l.size("opening proof size")
	l.add("opening proof", "opening proof", 0, s.Suite.proofSize())
	l.addUnread("segments", "full segments", 0, size-last)
	l.addUnread("segments", "last segment", 0, last)
	l.addUnread("final proof", "final proof", 0, int64(s.Suite.proofSize()))
	in.Parts = l.parts
	return in, nil
}
