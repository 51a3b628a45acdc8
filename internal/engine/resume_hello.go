package engine

import (
	"bytes"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A hello has this data after its fields:
//
//	type   meaning
//	array        of 3 values from a client, 1 from a server
//	bin          the sender's public identity as it is now
//	bin          credentials, at most MaxCredentials bytes: from a client only
//	bin, 0 | 32  hop mark, see hopMark: from a client only
const clientHelloData, serverHelloData = 3, 1

func (r *Resume) seal(purpose label.Label, fields []byte, values int) []byte {
	data := strict.AppendArray(nil, values)
	data = strict.AppendBin(data, r.cfg.Identity.Bytes())
	if values == clientHelloData {
		r.mark = hopMark(r.schedule, r.binding)
		data = strict.AppendBin(strict.AppendBin(data, r.credentials), r.mark)
	}
	frame := r.schedule.seal(nil, purpose, appendPadded(nil, fields, data))
	r.schedule.absorb(frame)
	return frame
}

func (r *Resume) open(purpose label.Label, frame []byte, fieldsSize, values int) (fields []byte, _ Reason) {
	if len(frame) < minAuthSize {
		return nil, ReasonSize
	}
	plain, err := r.schedule.open(purpose, frame)
	if err != nil {
		return nil, ReasonCipher
	}
	fields, data, ok := parsePadded(plain, fieldsSize)
	if !ok {
		return nil, ReasonEncoding
	}
	in := strict.NewReader(data)
	in.Array(values)
	identity := in.Bin(1, keys.MaxPublicSize)
	if values == clientHelloData {
		r.credentials = in.Bin(0, MaxCredentials)
		mark := in.Bin(0, hashSize)
		if !markFits(mark) {
			return nil, ReasonEncoding
		}
		r.hop = compareHops(r.schedule, mark, r.binding)
	}
	if in.Done() != nil {
		return nil, ReasonEncoding
	}
	r.schedule.absorb(frame)
	return fields, r.identify(identity)
}

// identify takes the peer's identity as it is now. It may be a later statement than the
// one that this end knows, never an earlier one and never one by another root.
func (r *Resume) identify(identity []byte) Reason {
	if r.session == nil {
		r.storedIdentity = bytes.Clone(identity)
		return 0
	}
	peer, ok := laterStatement(r.session.Stated(), identity)
	if !ok {
		return ReasonIdentity
	}
	r.peer = peer
	return 0
}
