package flow

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/internal/engine"
)

// readWhole reads one frame, and the rest of the message if the frame is a part of one. It appends the
// message to dst, header and body, and sets m to it. If there is no message, or it went to User.Deliver,
// m.Number is 0. If the line is lost in the middle of a message, its beginning is kept for the next line.
// The caller holds f.recv.
func (f *Flow) readWhole(ctx context.Context, dst []byte, m *Incoming) ([]byte, error) {
	*m = Incoming{}
	l := f.line.Load()
	if l == nil {
		return dst, errUnlinked
	}
	within := len(f.recv.begun) > 0
	out, event, err := f.read(ctx, l, append(dst, f.recv.begun...))
	for within = within || event == engine.Part; within && err == nil; within = event != engine.Message {
		out, event, err = f.read(ctx, l, out)
	}
	f.recv.begun = nil
	switch {
	case err == nil && event == engine.Message:
		err = f.parse(l.Link.Received(), out[len(dst):], m)
	case err != nil && len(out) > len(dst) && !f.Over():
		f.recv.begun = bytes.Clone(out[len(dst):]) // dst may be the caller's memory
	}
	return out, err
}

// read takes one frame from the connection and does what its record says. It appends a message, or a piece
// of one, to dst.
func (f *Flow) read(ctx context.Context, l *Line, dst []byte) ([]byte, engine.Event, error) {
	frame, err := l.Conn.Read(f.within(ctx), f.recv.frame[:0])
	if err != nil {
		l.drop(false)
		return dst, 0, f.lose(l, fault.Cut(ctx, err))
	}
	f.recv.frame = frame
	now := time.Now()
	out, event, err := l.Link.Open(now, dst, frame)
	switch {
	case err != nil:
		return dst, 0, f.refused(l, err)
	case event == engine.PeerClose:
		return dst, 0, f.Fail(&fault.CloseError{Remote: true, Code: fault.Code(l.Link.PeerCode()), Missing: l.Link.PeerMissing()})
	case f.Over():
		return dst, 0, f.err // closed at this end while the message was on its way
	case event == engine.Acked:
		f.progress(now)
		f.acked.Tell()
	case event == engine.Asked:
		f.Schedule()
	case event == engine.Rekeyed:
		f.user.Decide(l, event)
		l.Link.Saved()
		f.Schedule()
	case event == engine.Updated, event == engine.Answered:
		f.user.Decide(l, event)
	case event == engine.Part:
		f.Schedule() // an ack of pieces may be due: a long message takes long to be whole
		f.Limits.touch(now)
	case event == engine.Message:
		f.Limits.touch(now)
	}
	return out, event, nil
}

// progress counts an acknowledgement of more bytes as activity of the applications: the last byte of a
// message may leave this end long before it arrives. The caller holds f.recv.
func (f *Flow) progress(now time.Time) {
	if moved := f.engine.SendProgress(); moved != f.recv.moved {
		f.recv.moved = moved
		f.Limits.touch(now)
	}
}

// parse reads the header of a message. The peer itself has written it, so a bad one ends the session.
// parse gives replies and parts of streams to the user, and then leaves m empty, as after an error.
func (f *Flow) parse(number uint64, message []byte, m *Incoming) error {
	h, size, err := engine.ParseHeader(message, f.recv.seen)
	if err != nil {
		return f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrMisbehaved})
	}
	f.recv.seen = h.Type
	in := Incoming{Header: h, Number: number, Body: message[size:], Size: len(message)}
	if signing.Required(f.engine, h.Kind) {
		var signed bool
		if in.Signature, in.Body, signed = signing.Check(f.engine, h, number, in.Body); !signed {
			return f.Fail(&fault.CloseError{Remote: true, Err: ErrSignature})
		}
	}
	if len(in.Body) > f.cfg.MaxMessage { // by less than a header could take
		return f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrTooLarge})
	}
	if h.Kind == engine.KindAnswer || h.Kind == engine.KindRefusal || h.Kind >= engine.KindStreamOpen {
		return f.user.Deliver(in)
	}
	*m = in
	return nil
}

// refused ends a line after a bad record, and ends the session if the peer itself must have made that
// record.
func (f *Flow) refused(l *Line, err error) error {
	var check *engine.Error
	if !errors.As(err, &check) {
		return f.lose(l, broken(err))
	}
	f.refusals[check.Reason].Add(1)
	switch check.Reason {
	case engine.ReasonCredit, engine.ReasonAck, engine.ReasonRekey, engine.ReasonUpdate, engine.ReasonClose:
		return f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrMisbehaved})
	case engine.ReasonLength: // on another line the same message would come again
		return f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrTooLarge})
	}
	return f.lose(l, &fault.CloseError{Remote: true, Err: fault.ErrTampered})
}
