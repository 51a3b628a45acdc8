//go:build !js

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A message is an envelope or a stream that was read, and what can be seen of it.
type message struct {
	envelope.Inspection
	kind   string // "envelope" or "stream"
	window window
}

// Limits of what is read, in bytes. Streams have none.
const (
	maxEnvelope = 64 << 20
	maxStart    = 1 << 20 // of what is neither, to say what it is instead
)

// The first byte of each kind: an array of five or four.
const envelopeStart, streamStart = 0x95, 0x94

// readMessage reads and inspects a file, "-" for standard input.
func (c *call) readMessage(name string) (message, error) {
	r := c.stdin
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return message{}, fmt.Errorf("%w: check the name", err)
		}
		defer f.Close()
		r = f
	}
	m, err := inspectFrom(r)
	switch {
	case errors.Is(err, envelope.ErrOpen):
		return message{}, fmt.Errorf("%s %s", name, notMessage(err, m.window.first))
	case errors.Is(err, errTooLarge):
		return message{}, fmt.Errorf("%s has more than %d bytes, too many for an envelope: seal large content as a stream", name, maxEnvelope)
	case errors.Is(err, errText):
		return message{}, fmt.Errorf("%s begins like an envelope or a stream as text, and is neither hex nor base64: ask for it again", name)
	case errors.Is(err, io.EOF):
		return message{}, fmt.Errorf("%s is empty: ask for it again", name)
	case err != nil:
		return message{}, fmt.Errorf("%w: give a file that can be read", err)
	}
	return m, nil
}

var errTooLarge = errors.New("too large")

// inspectFrom inspects what r has, as it is or as text.
func inspectFrom(r io.Reader) (message, error) {
	in, err := asBytes(r)
	if err != nil {
		return message{}, err
	}
	start, err := in.Peek(1)
	switch {
	case err != nil:
		return message{}, err
	case start[0] == streamStart:
		return inspectStream(in)
	}
	return inspectEnvelope(in, start[0] == envelopeStart)
}

func inspectStream(in io.Reader) (m message, err error) {
	m.kind = "stream"
	m.Inspection, err = envelope.InspectStream(io.TeeReader(in, &m.window))
	return m, err
}

// inspectEnvelope reads no more than the beginning of what cannot be one.
func inspectEnvelope(in io.Reader, likely bool) (m message, err error) {
	limit := maxEnvelope
	if !likely {
		limit = maxStart
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err != nil {
		return m, err
	}
	if likely && len(b) > limit {
		return m, errTooLarge
	}
	m.kind, m.window = "envelope", window{first: b, size: int64(len(b))}
	m.Inspection, err = envelope.Inspect(b)
	return m, err
}

// asBytes returns what r has, or the bytes that its text encodes in hex or base64. The
// first byte of an envelope or a stream begins no text, and as text its first
// characters are of one of the two.
func asBytes(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReader(r)
	skipped, err := skipBlanks(in)
	if err != nil {
		return nil, err
	}
	start, _ := in.Peek(2) // an error comes again
	t := &text{in: in}
	switch string(start) {
	case "95", "94":
		t.decoded = hex.NewDecoder(textFilter{t})
	case "lQ", "lA":
		t.decoded = base64.NewDecoder(base64.RawStdEncoding.Strict(), textFilter{t})
	default:
		return bufio.NewReader(io.MultiReader(strings.NewReader(skipped), in)), nil
	}
	return bufio.NewReader(t), nil
}

// skipBlanks skips the white space in front, unless it is all there is, and
// returns the last of it.
func skipBlanks(in *bufio.Reader) (last string, err error) {
	for range maxStart {
		b, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		if !blank(b) {
			return last, in.UnreadByte()
		}
		last = string(b)
	}
	return last, nil
}

func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// text is what a file has as hex or base64, in lines of any length, with or without
// padding.
type text struct {
	in      *bufio.Reader
	decoded io.Reader // of what textFilter lets through
	ended   bool      // by padding
	err     error     // of in
}

var errText = errors.New("not hex or base64")

func (t *text) Read(p []byte) (int, error) {
	n, err := t.decoded.Read(p)
	if err != nil && err != io.EOF && (t.err == nil || t.err == io.EOF) {
		err = errText
	}
	return n, err
}

// textFilter leaves out white space and padding, and turns the base64 for URLs into
// the standard one.
type textFilter struct{ *text }

func (t textFilter) Read(p []byte) (int, error) {
	for {
		n, err := t.in.Read(p)
		t.err = err
		kept := p[:0]
		for _, b := range p[:n] {
			switch {
			case blank(b):
				continue
			case b == '=':
				t.ended = true
				continue
			case t.ended:
				return len(kept), errText
			case b == '-':
				b = '+'
			case b == '_':
				b = '/'
			}
			kept = append(kept, b)
		}
		if len(kept) > 0 || err != nil {
			return len(kept), err
		}
	}
}

// notMessage says why something is no envelope or stream, and what it is instead,
// as far as it shows.
func notMessage(err error, b []byte) string {
	switch envelope.ReasonOf(err) {
	case envelope.ReasonVersion:
		return "is of a version that this hopseal does not know: update it"
	case envelope.ReasonSuite:
		return "is of a suite that this hopseal does not know: update it"
	}
	const no = "is not an envelope or a stream: "
	raw := decodeText(b)
	_, public := keys.ParsePublic(raw)
	_, succession := trust.ParseSuccession(raw)
	switch {
	case public == nil:
		return no + "it is a public identity, which 'hopseal key fingerprint' shows"
	case succession == nil:
		return no + "it is a succession, which 'hopseal key import' takes"
	case bytes.HasPrefix(b, []byte(backupHead)):
		return no + "it is a cleartext backup, with secret keys: keep it where nobody reads it"
	case bytes.Contains(raw[:min(len(raw), 32)], []byte("hopseal key file")):
		return no + "it is a store, which 'hopseal key show' shows"
	}
	return no + "it is damaged, cut short or something else: ask for it again"
}

// A window keeps what is shown of the bytes that are written to it: all up to a
// limit, and the end.
type window struct {
	first, last []byte
	size        int64
}

// The head of a stream, and of the first segments as much as is shown. The last
// segment and the final proof.
const windowFirst, windowLast = 2 << 20, 65_552 + 64

func (w *window) Write(p []byte) (int, error) {
	w.first = append(w.first, p[:min(len(p), windowFirst-len(w.first))]...)
	w.last = append(w.last, p...)
	if len(w.last) > 4*windowLast {
		w.last = append(w.last[:0], w.last[len(w.last)-windowLast:]...)
	}
	w.size += int64(len(p))
	return len(p), nil
}

// at returns the bytes from an offset on, as many of them as there are.
func (w *window) at(offset int64, n int) []byte {
	b := w.first
	if end := w.size - int64(len(w.last)); offset >= end {
		b, offset = w.last, offset-end
	}
	if offset > int64(len(b)) {
		return nil
	}
	b = b[offset:]
	return b[:min(n, len(b))]
}
