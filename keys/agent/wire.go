package agent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"

	"github.com/hopseal/hopseal/internal/strict"
)

// MaxMessageSize is the longest message that an agent signs, in bytes. A statement
// about an identity is the longest there is, and takes at most 6 KiB.
const MaxMessageSize = 8 << 10

const (
	version = 1
	maxKeys = 64

	frameHead    = 2
	maxFrameBody = MaxMessageSize + 64

	opList = 1
	opSign = 2
)

// status is an agent's answer in one number.
type status byte

const (
	statusOK      status = iota
	statusRefused        // the label does not fit the key's purpose
	statusNoKey
	statusFailed // the agent's Signer failed
)

var errWire = errors.New("agent: malformed")

type request struct {
	op      byte
	key     [ed25519.PublicKeySize]byte
	message []byte
}

func (q request) append(dst []byte) []byte {
	if q.op == opList {
		return strict.AppendUint(strict.AppendUint(strict.AppendArray(dst, 2), version), opList)
	}
	dst = strict.AppendUint(strict.AppendUint(strict.AppendArray(dst, 4), version), opSign)
	return strict.AppendBin(strict.AppendBin(dst, q.key[:]), q.message)
}

// parseRequest returns a request whose message is a part of b.
func parseRequest(b []byte) (request, error) {
	r := strict.NewReader(b)
	n, v, op := r.ArrayLen(2, 4), r.Uint(), r.Uint()
	q := request{op: byte(op)}
	switch {
	case n == 2 && op == opList:
	case n == 4 && op == opSign:
		copy(q.key[:], r.Bin(len(q.key), len(q.key)))
		q.message = r.Bin(1, MaxMessageSize)
	default:
		r.Fail()
	}
	if r.Done() != nil || v != version {
		return request{}, errWire
	}
	return q, nil
}

type reply struct {
	status status
	result []byte
}

func (p reply) append(dst []byte) []byte {
	return strict.AppendBin(strict.AppendUint(strict.AppendArray(dst, 2), uint64(p.status)), p.result)
}

// parseReply returns a reply whose result is a part of b.
func parseReply(b []byte) (reply, error) {
	r := strict.NewReader(b)
	r.Array(2)
	s := r.Uint()
	p := reply{status(s), r.Bin(0, maxKeys*listedSize)}
	if r.Done() != nil || s > uint64(statusFailed) || p.status != statusOK && len(p.result) != 0 {
		return reply{}, errWire
	}
	return p, nil
}

const listedSize = 1 + ed25519.PublicKeySize

// A PublicKey is the public half of a key that an agent holds.
type PublicKey struct {
	Key ed25519.PublicKey
	For Purpose
}

func appendList(dst []byte, list []PublicKey) []byte {
	for _, k := range list {
		dst = append(append(dst, byte(k.For)), k.Key...)
	}
	return dst
}

func parseList(b []byte) ([]PublicKey, error) {
	var list []PublicKey
	for ; len(b) >= listedSize; b = b[listedSize:] {
		k := PublicKey{bytes.Clone(b[1:listedSize]), Purpose(b[0])}
		if k.For == 0 || k.For&^(Statements|Messages) != 0 {
			return nil, errWire
		}
		list = append(list, k)
	}
	if len(b) != 0 || len(list) > maxKeys {
		return nil, errWire
	}
	return list, nil
}

func writeFrame(w io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, frameHead+len(body)), uint16(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

// readFrame compares the length with the limit before it allocates.
func readFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n > maxFrameBody {
		return nil, errWire
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}
