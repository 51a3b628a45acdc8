package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/engine"
)

// A StreamWriter sends one stream. Only [StreamWriter.Finish] makes it complete: do not defer
// that. What may be deferred is [StreamWriter.Close], which gives up a stream that is not
// finished. One goroutine may use it at a time; Abort and Close may be called by any.
type StreamWriter struct {
	session  *Session
	progress func(int64)
	ctx      context.Context // ends the stream
	cancel   context.CancelCauseFunc
	unwatch  func() bool
	release  func() // gives the place among MaxStreams back, once

	credit atomic.Uint64 // bytes that may be sent; raised by whoever reads for the session
	more   chan struct{} // holds a token when it was

	complete atomic.Bool // Finish has returned nil

	ended   bool // the end is numbered; guarded by the mu of streams, like
	dropped bool // the other end has nothing of it any more

	turn     chan struct{} // holds a token while somebody sends of the stream; guards what follows
	id       uint64
	total    int64
	told     int64
	under    []streamMark // that have not arrived
	finished bool         // an end or an abort is sent
	err      error        // why there is no more
}

// A streamMark is where a message of a stream ends.
type streamMark struct {
	number uint64
	total  int64
}

// OpenStream begins a stream of a type, see [Message]: bytes without a bound, in constant
// memory at both ends. It ends with Finish, and then only it is complete; with Close or
// Abort; or with the context, which is for the stream's life. It waits while [MaxStreams] are under
// way: those that the other end has not read to their end, or given up.
//
// Several streams may be under way, between other messages. Each has a credit of its own,
// which the other end gives as it reads: 16,384 bytes to begin with, and then up to half of
// its [Config.Window]. A stream that nobody reads holds up its own Write, for as long as
// its context lasts, and nothing else.
//
// Errors: the context's; [ErrStreamStored]; one about the type or the options; [*CloseError].
func (s *Session) OpenStream(ctx context.Context, typ string, opts *StreamOptions) (*StreamWriter, error) {
	if opts == nil {
		opts = &StreamOptions{}
	}
	switch {
	case s.keeper != nil:
		return nil, ErrStreamStored
	case len(opts.Data) > MaxStreamMetadata:
		return nil, fmt.Errorf("e2e: stream: %w: %d bytes of data ahead, at most %d", ErrTooLarge, len(opts.Data), MaxStreamMetadata)
	}
	slots := s.streams.places()
	select {
	case slots <- struct{}{}:
	case <-s.ended:
		return nil, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := &StreamWriter{session: s, progress: opts.Progress, turn: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	w.credit.Store(streamCredit)
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.release = sync.OnceFunc(func() { <-slots })
	m := &outgoing{Header: engine.Header{Kind: engine.KindStreamOpen, Type: typ}, body: opts.Data, stream: w}
	w.turn <- struct{}{} // until all of w is set
	defer w.leave()
	if err := s.submit(w.ctx, m); err != nil {
		w.cancel(nil)
		w.release()
		return nil, err
	}
	w.unwatch = context.AfterFunc(w.ctx, w.gaveUp)
	return w, nil
}

// SendStream sends everything that r has to give as a stream, see [Session.OpenStream], and
// returns when it has arrived at the other end's session. If r fails the stream is given
// up, and the error is that of r.
func (s *Session) SendStream(ctx context.Context, typ string, r io.Reader, opts *StreamOptions) error {
	w, err := s.OpenStream(ctx, typ, opts)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.ReadFrom(r); err != nil {
		return err
	}
	return w.Finish()
}

// Write sends p, in pieces of at most 64 KiB. It waits while the other end does not read,
// until the stream's context ends. Errors: a [*StreamError], or a [*CloseError].
func (w *StreamWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		size, err := w.send(p[n:])
		if err != nil {
			return n, err
		}
		n += size
	}
	return n, nil
}

// ReadFrom sends all of r, up to its [io.EOF]. It is what io.Copy calls. If r fails the
// stream is given up: what was read is not all.
func (w *StreamWriter) ReadFrom(r io.Reader) (n int64, err error) {
	buf := make([]byte, w.piece())
	for {
		size, err := fill(r, buf[:w.next()])
		sent, failed := w.Write(buf[:size])
		if n += int64(sent); failed != nil {
			return n, failed
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			w.cancel(err)
			return n, err
		}
	}
}

// next returns how large the next piece should be: no larger than there is credit for, if
// there is some, so that none is cut in two.
func (w *StreamWriter) next() int {
	if n := w.left(); n > 0 {
		return min(n, w.piece())
	}
	return w.piece()
}

// fill reads until buf is full or r ends, and returns the error of r as it is. That of
// io.ReadFull would not say whether r was cut: [io.ErrUnexpectedEOF] may be its word or
// that of r.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var size int
		size, err = r.Read(buf[n:])
		n += size
	}
	return n, err
}

func (w *StreamWriter) piece() int { return min(streamPiece, w.session.party.cfg.MaxMessage) }

// send sends one piece: as much of p as fits into it, and as there is credit for.
func (w *StreamWriter) send(p []byte) (n int, err error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.leave()
	room, err := w.room()
	if err != nil {
		return 0, err
	}
	n = min(len(p), w.piece(), room)
	w.session.streams.sending(n)
	m := &outgoing{Header: engine.Header{Kind: engine.KindStreamPiece, Answers: w.id}, body: p[:n]}
	if err := w.session.submit(w.ctx, m); err != nil {
		return 0, w.why(err)
	}
	w.total += int64(n)
	if w.progress != nil {
		w.under = append(w.under, streamMark{m.number, w.total})
		w.tell()
	}
	return n, nil
}

// room returns how many bytes may be sent, and waits while it is none. That the other end
// reads the stream is up to its application, which may take its time: it is for the
// context to end that.
func (w *StreamWriter) room() (n int, err error) {
	if n := w.left(); n > 0 {
		return n, nil
	}
	s := w.session
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	for {
		if n := w.left(); n > 0 {
			return n, nil
		}
		s.pump()
		select {
		case <-w.more:
		case <-s.ended:
			return 0, w.why(s.err)
		case <-w.ctx.Done():
			return 0, w.why(w.ctx.Err())
		}
	}
}

// left returns how many bytes may be sent now. It is for whoever writes.
func (w *StreamWriter) left() int { return int(w.credit.Load() - uint64(w.total)) }

// allow takes more credit, or reports that it is not more, or too much.
func (w *StreamWriter) allow(credit uint64) bool {
	before := w.credit.Load()
	if credit < before+streamCreditStep || credit > before+streamCreditMost {
		return false
	}
	w.credit.Store(credit)
	select {
	case w.more <- struct{}{}:
	default:
	}
	return true
}

// enter takes the turn, unless there is no more to send.
func (w *StreamWriter) enter() error {
	select {
	case w.turn <- struct{}{}:
	case <-w.ctx.Done():
		return w.why(w.ctx.Err())
	}
	err := w.err
	if err == nil && w.ctx.Err() != nil {
		err = w.why(w.ctx.Err())
	}
	if err != nil {
		w.leave()
	}
	return err
}

func (w *StreamWriter) leave() { <-w.turn }

// why says why the stream is over, if it is by its context.
func (w *StreamWriter) why(err error) error {
	if w.session.over() {
		w.cancel(nil)
		return w.session.err
	}
	if w.ctx.Err() == nil {
		return err
	}
	cause := context.Cause(w.ctx)
	if given := new(StreamError); errors.As(cause, &given) {
		return given
	}
	return &StreamError{Err: cause}
}

// tell reports what has arrived. It is called under turn.
func (w *StreamWriter) tell() {
	acked, before := w.session.engine.Acked(), w.told
	for len(w.under) > 0 && w.under[0].number <= acked {
		w.told = w.under[0].total
		w.under = w.under[1:]
	}
	if w.told > before {
		w.progress(w.told)
	}
}

// Finish completes the stream, and returns when all of it has arrived at the other end's
// session; its reader may be still at it. Errors: a [*StreamError] or a [*CloseError], and
// then the other end does not take the stream for complete, unless the error came while
// Finish waited.
func (w *StreamWriter) Finish() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.leave()
	total := binary.BigEndian.AppendUint64(nil, uint64(w.total))
	m := &outgoing{Header: engine.Header{Kind: engine.KindStreamEnd, Answers: w.id}, body: total, stream: w}
	if err := w.session.submit(w.ctx, m); err != nil {
		return w.why(err)
	}
	w.finish(errStreamFinished)
	defer w.cancel(nil)
	err := w.await(m.number)
	w.complete.Store(err == nil)
	return err
}

// Close is Abort, and returns an error unless the stream is finished.
func (w *StreamWriter) Close() error {
	if w.complete.Load() {
		return nil
	}
	w.Abort()
	return w.why(w.ctx.Err())
}

var errStreamFinished = errors.New("e2e: the stream is finished")

// finish is called under turn when the other end is told that there is no more.
func (w *StreamWriter) finish(err error) {
	w.finished, w.err = true, err
	w.unwatch()
}

// await waits until a message has arrived.
func (w *StreamWriter) await(number uint64) error {
	s := w.session
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	for {
		news, moved := s.news.next(), s.moved.next()
		if w.progress != nil {
			w.tell()
		}
		switch {
		case w.ctx.Err() != nil: // the other end may have refused it
			return w.why(w.ctx.Err())
		case s.engine.Acked() >= number:
			return nil
		case s.over():
			return s.err
		}
		if err := awaitAnswer(w.ctx, s, news, moved); err != nil {
			return w.why(err)
		}
	}
}

// gaveUp tells the other end. It runs in a goroutine of its own.
func (w *StreamWriter) gaveUp() {
	s := w.session
	select {
	case w.turn <- struct{}{}: // whoever has it is about to leave
		defer w.leave()
	case <-s.ended:
		w.release()
		return
	}
	if !w.finished {
		s.submit(s.life, &outgoing{Header: engine.Header{Kind: engine.KindStreamAbort, Answers: w.id}})
		w.finish(w.why(w.ctx.Err()))
		s.streams.forget(w)
	}
}
