package sessionstore

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
)

// Keys are one of these and, in hex, the record's key, an id, or the id of a part.
const (
	sessionPrefix = "session-"
	idPrefix      = "id-"
	partPrefix    = "messages-"
)

func sessionName(key [32]byte) string { return sessionPrefix + hex.EncodeToString(key[:]) }
func idName(id [32]byte) string       { return idPrefix + hex.EncodeToString(id[:]) }
func partName(id [32]byte) string     { return partPrefix + hex.EncodeToString(id[:]) }

// Values:
//
//	session  array(5) [ version=2, expires uint ms, array(1 to 2) of ids, array of ids of parts bin 32, data bin ]
//	         each id array(2) [ bin 32, head bin ]
//	id       array(4) [ version=2, expires uint ms, the session's key bin 32, head bin ]
//	part     array(4) [ version=2, expires uint ms, the session's key bin 32, data bin ]
const formatVersion = 2

const maxIDs = 2

// maxTime is in ms: the end of the year 9999.
const maxTime = 253402300799999

// errMalformed is returned for a value that this package did not write.
var errMalformed = errors.New("sessionstore: malformed value")

func milliseconds(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

func appendStart(values int, expires time.Time) []byte {
	b := strict.AppendUint(strict.AppendArray(nil, values), formatVersion)
	return strict.AppendUint(b, milliseconds(expires))
}

// start reads what each value begins with.
func start(r *strict.Reader, values int) (expires time.Time) {
	r.Array(values)
	version, at := r.Uint(), r.Uint()
	if version != formatVersion || at > maxTime {
		r.Fail()
	}
	return time.UnixMilli(int64(at))
}

func encodeSession(s Record) []byte {
	b := appendStart(5, s.Expires)
	b = strict.AppendArray(b, len(s.IDs))
	for _, id := range s.IDs {
		b = strict.AppendBin(strict.AppendArray(b, 2), id.ID[:])
		b = strict.AppendBin(b, id.Head)
	}
	b = strict.AppendArray(b, len(s.Parts))
	for _, id := range s.Parts {
		b = strict.AppendBin(b, id[:])
	}
	return strict.AppendBin(b, s.Data)
}

func decodeSession(b []byte) (s Record, err error) {
	r := strict.NewReader(b)
	s.Expires = start(&r, 5)
	for range r.ArrayLen(1, maxIDs) {
		r.Array(2)
		id, head := id32(&r), r.Bin(0, MaxHead)
		s.IDs = append(s.IDs, ID{ID: id, Head: head})
	}
	for range r.ArrayLen(0, MaxParts) {
		s.Parts = append(s.Parts, id32(&r))
	}
	s.Data = r.Bin(0, len(b))
	if r.Done() != nil {
		return Record{}, errMalformed
	}
	return s, nil
}

func id32(r *strict.Reader) (id [32]byte) {
	copy(id[:], r.Bin(32, 32))
	return id
}

// A pointer is the value of an id.
type pointer struct {
	to      [32]byte
	head    []byte
	expires time.Time
}

func encodeID(p pointer) []byte {
	b := strict.AppendBin(appendStart(4, p.expires), p.to[:])
	return strict.AppendBin(b, p.head)
}

func decodeID(b []byte) (p pointer, err error) {
	r := strict.NewReader(b)
	p.expires = start(&r, 4)
	p.to = id32(&r)
	p.head = r.Bin(0, MaxHead)
	if r.Done() != nil {
		return pointer{}, errMalformed
	}
	return p, nil
}

func encodePart(p Part) []byte {
	b := strict.AppendBin(appendStart(4, p.Expires), p.Key[:])
	return strict.AppendBin(b, p.Data)
}

func decodePart(b []byte) (p Part, err error) {
	r := strict.NewReader(b)
	p.Expires = start(&r, 4)
	p.Key = id32(&r)
	p.Data = r.Bin(0, len(b))
	if r.Done() != nil {
		return Part{}, errMalformed
	}
	return p, nil
}
