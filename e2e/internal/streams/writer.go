package streams

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// A Writer sends one stream. Only Finish makes it complete. One goroutine may use it at a time;
// any may call Abort and Close.
type Writer struct {
	streams  *Streams
	progress func(int64)
	ctx      context.Context // ends the stream
	cancel   context.CancelCauseFunc
	unwatch  func() bool // stops sendAbort
	release  func()      // gives the slot back, once

	credit atomic.Uint64 // bytes that may be sent; raised by Deliver
	more   chan struct{} // holds a token when credit was raised

	complete atomic.Bool // Finish has returned nil

	ended   bool // the end has its number; guarded by the mu of streams, like
	dropped bool // the peer has nothing of the stream any more

	turn     chan struct{} // holds a token while somebody sends; guards what follows
	id       uint64
	total    int64
	reported int64  // to progress
	unacked  []mark // for progress
	finished bool   // an end or an abort is sent
	err      error  // why no more is sent
}

// A mark is where a message of a stream ends.
type mark struct {
	number uint64
	total  int64
}

func newWriter(s *Streams, ctx context.Context, progress func(int64), release func()) *Writer {
	w := &Writer{streams: s, progress: progress, release: release, turn: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	w.credit.Store(firstCredit)
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// Numbered is called by the session when the message that opens the stream has its number, and
// again for the one that completes it. The session calls it before it writes any of the message,
// since the peer's reaction may come at once.
func (w *Writer) Numbered(number uint64) {
	s := w.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.id == 0 {
		s.register(w, number)
		return
	}
	w.ended = true
	s.freeSlot(w)
}

// Write sends p, in pieces of at most 64 KiB. It waits while the peer does not read, until the
// stream's context ends.
func (w *Writer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		size, err := w.send(p[n:])
		if err != nil {
			return n, err
		}
		n += size
	}
	return n, nil
}

// ReadFrom sends all of r, up to its io.EOF. If r fails, ReadFrom gives the stream up, since what it has
// read is not all.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	buf := make([]byte, w.piece())
	for {
		size, err := fill(r, buf[:w.nextPiece()])
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

// fill reads until buf is full or r ends, and returns the error of r as it is. io.ReadFull does
// not: its io.ErrUnexpectedEOF may be its own or that of a source that was cut.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var size int
		size, err = r.Read(buf[n:])
		n += size
	}
	return n, err
}

// piece returns the size of the largest piece.
func (w *Writer) piece() int { return min(maxPiece, w.streams.limits.MaxMessage) }

// nextPiece returns how large the next piece should be. If there is credit the piece fits it, so
// that it is not cut in two.
func (w *Writer) nextPiece() int {
	if n := w.available(); n > 0 {
		return min(n, w.piece())
	}
	return w.piece()
}

// send sends one piece: as much of p as fits into it, and as there is credit for.
func (w *Writer) send(p []byte) (n int, err error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.leave()
	credit, err := w.awaitCredit()
	if err != nil {
		return 0, err
	}
	n = min(len(p), w.piece(), credit)
	w.streams.countSent(n)
	number, err := w.streams.session.Submit(w.ctx, w.message(engine.KindStreamPiece, p[:n]))
	if err != nil {
		return 0, w.failure(err)
	}
	w.total += int64(n)
	if w.progress != nil {
		w.unacked = append(w.unacked, mark{number, w.total})
		w.report(w.streams.session.Acked())
	}
	return n, nil
}

// message returns a message about the stream.
func (w *Writer) message(kind engine.Kind, body []byte) Outgoing {
	return Outgoing{Header: engine.Header{Kind: kind, Answers: w.id}, Body: body}
}

// awaitCredit returns how many bytes may be sent, and waits while it is none. The peer's
// application may take its time to read: only the context ends that.
func (w *Writer) awaitCredit() (n int, err error) {
	if n := w.available(); n > 0 {
		return n, nil
	}
	session := w.streams.session
	session.Want()
	defer session.Unwant()
	for {
		if n := w.available(); n > 0 {
			return n, nil
		}
		select {
		case <-w.more:
		case <-session.Done():
			return 0, w.failure(nil)
		case <-w.ctx.Done():
			return 0, w.failure(w.ctx.Err())
		}
	}
}

// available returns how many bytes may be sent now. The caller has the turn.
func (w *Writer) available() int { return int(w.credit.Load() - uint64(w.total)) }

// addCredit raises the credit. It reports false for one that is too small or too large a step.
func (w *Writer) addCredit(credit uint64) bool {
	before := w.credit.Load()
	if credit < before+minCreditStep || credit > before+maxCreditStep {
		return false
	}
	w.credit.Store(credit)
	select {
	case w.more <- struct{}{}:
	default:
	}
	return true
}

// enter takes the turn, unless nothing more is sent.
func (w *Writer) enter() error {
	select {
	case w.turn <- struct{}{}:
	case <-w.ctx.Done():
		return w.failure(w.ctx.Err())
	}
	err := w.err
	if err == nil && w.ctx.Err() != nil {
		err = w.failure(w.ctx.Err())
	}
	if err != nil {
		w.leave()
	}
	return err
}

func (w *Writer) leave() { <-w.turn }

// failure returns what a call that failed with err returns: how the session ended, if it did; or
// why the stream is given up, if it is; or err.
func (w *Writer) failure(err error) error {
	if ended := w.streams.session.Err(); ended != nil {
		w.cancel(nil)
		return ended
	}
	if w.ctx.Err() == nil {
		return err
	}
	cause := context.Cause(w.ctx)
	if given := new(fault.StreamError); errors.As(cause, &given) {
		return given
	}
	return &fault.StreamError{Err: cause}
}

// report tells progress what has arrived, if that is more than before. The caller holds the turn.
func (w *Writer) report(acked uint64) {
	before := w.reported
	for len(w.unacked) > 0 && w.unacked[0].number <= acked {
		w.reported = w.unacked[0].total
		w.unacked = w.unacked[1:]
	}
	if w.reported > before {
		w.progress(w.reported)
	}
}

var errFinished = errors.New("e2e: the stream is finished")

// Finish completes the stream, and returns when all of it has arrived at the peer's session.
func (w *Writer) Finish() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.leave()
	m := w.message(engine.KindStreamEnd, binary.BigEndian.AppendUint64(nil, uint64(w.total)))
	m.Writer = w
	number, err := w.streams.session.Submit(w.ctx, m)
	if err != nil {
		return w.failure(err)
	}
	w.stop(errFinished)
	defer w.cancel(nil)
	err = w.await(number)
	w.complete.Store(err == nil)
	return err
}

// await waits until a message has arrived, and reports progress meanwhile.
func (w *Writer) await(number uint64) error {
	session := w.streams.session
	for acked := session.Acked(); acked < number; acked = session.Acked() {
		w.report(acked)
		next := number
		if w.progress != nil {
			next = acked + 1
		}
		if err := session.Await(w.ctx, next); err != nil {
			return w.failure(err)
		}
	}
	w.report(number)
	if w.ctx.Err() != nil { // a stored peer refuses the stream before it acknowledges it
		return w.failure(w.ctx.Err())
	}
	return nil
}

// Abort gives the stream up, unless it is finished. The peer learns that it is not complete.
func (w *Writer) Abort() { w.cancel(&fault.StreamError{}) }

// abortByPeer is Abort because the peer does not want the stream.
func (w *Writer) abortByPeer() { w.cancel(&fault.StreamError{Remote: true}) }

// Close is Abort, and returns an error unless the stream is finished.
func (w *Writer) Close() error {
	if w.complete.Load() {
		return nil
	}
	w.Abort()
	return w.failure(w.ctx.Err())
}

// stop is called when the peer is told that no more follows. Later calls return err. The caller
// holds the turn.
func (w *Writer) stop(err error) {
	w.finished, w.err = true, err
	w.unwatch()
}

// sendAbort tells the peer that the stream is given up. It runs in a goroutine of its own when the
// stream's context ends.
func (w *Writer) sendAbort() {
	select {
	case w.turn <- struct{}{}: // a call that has the turn is about to leave
		defer w.leave()
	case <-w.streams.session.Done():
		w.release()
		return
	}
	if !w.finished {
		w.streams.session.Submit(w.streams.life, w.message(engine.KindStreamAbort, nil))
		w.stop(w.failure(w.ctx.Err()))
		w.streams.forget(w)
	}
}
