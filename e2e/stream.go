package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

const (
	// MaxStreams is how many streams each end may have under way at a time.
	MaxStreams = 64

	// MaxStreamMetadata bounds the Data of [Stream], in bytes.
	MaxStreamMetadata = 4 << 10

	// streamPiece is the most of a stream that goes into one message: with what stands
	// around it, it fills one record.
	streamPiece = 64<<10 - 128

	streamEndSize = 8
)

// ErrStream is matched by the error of a stream that one of its ends has given up. What
// was read of it is not all.
var ErrStream = errors.New("the stream is not complete")

// A StreamError says who has given a stream up. It matches [ErrStream]. The session goes
// on.
type StreamError struct {
	Remote bool // the other end, not this one
	Err    error
}

// Error returns one line.
func (e *StreamError) Error() string {
	s := "e2e: this end gave the stream up: "
	if e.Remote {
		s = "e2e: the other end gave the stream up: "
	}
	s += ErrStream.Error()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrStream and the cause.
func (e *StreamError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrStream}
	}
	return []error{ErrStream, e.Err}
}

// ErrStreamStored is returned by calls for streams in a session with a [Config.Store]:
// what is stored is messages, and a stream would not go on after a restart.
var ErrStreamStored = errors.New("e2e: a session that is stored has no streams")

// StreamOptions are those of a stream to send. Nil means their zero value.
type StreamOptions struct {
	// Data goes ahead of the stream, at most [MaxStreamMetadata] bytes: a name, a size.
	Data []byte

	// Progress is called by Write and Close with the number of bytes that have arrived at
	// the other end's session, each time with a larger one. It must not block.
	Progress func(arrived int64)
}

// A StreamWriter sends one stream. One goroutine may use it at a time; Abort may be called
// by any.
type StreamWriter struct {
	session  *Session
	progress func(int64)
	ctx      context.Context // ends the stream
	cancel   context.CancelCauseFunc
	unwatch  func() bool
	release  func() // gives the place among MaxStreams back, once

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
// memory at both ends. It ends with Close, and then only it is complete; with Abort; or
// with the context, which is for the stream's life. It waits while [MaxStreams] are under
// way.
//
// Several streams may be under way, between other messages. All share what the session may
// have under way, its [Config.Window]: a stream that the other end does not read holds up
// everything else but calls, and in the end the session ends, see [Config.SendTimeout].
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
	w := &StreamWriter{session: s, progress: opts.Progress, turn: make(chan struct{}, 1)}
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
	if _, err := w.ReadFrom(r); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// Write sends p, in pieces of at most 64 KiB. It waits while the other end does not keep
// up. Errors: a [*StreamError], or a [*CloseError].
func (w *StreamWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+w.piece())]
		if err := w.send(piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// ReadFrom sends all of r, up to its [io.EOF]. It is what io.Copy calls.
func (w *StreamWriter) ReadFrom(r io.Reader) (n int64, err error) {
	buf := make([]byte, w.piece())
	for {
		size, err := fill(r, buf)
		if size > 0 {
			if err := w.send(buf[:size]); err != nil {
				return n, err
			}
			n += int64(size)
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
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

// send sends one piece.
func (w *StreamWriter) send(piece []byte) error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.leave()
	m := &outgoing{Header: engine.Header{Kind: engine.KindStreamPiece, Answers: w.id}, body: piece}
	if err := w.session.submit(w.ctx, m); err != nil {
		return w.why(err)
	}
	w.total += int64(len(piece))
	if w.progress != nil {
		w.under = append(w.under, streamMark{m.number, w.total})
		w.tell()
	}
	return nil
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

// Close completes the stream, and returns when all of it has arrived at the other end's
// session; its reader may be still at it. Errors: a [*StreamError] or a [*CloseError], and
// then the other end does not take the stream for complete, unless the error came while
// Close waited.
func (w *StreamWriter) Close() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.leave()
	total := binary.BigEndian.AppendUint64(nil, uint64(w.total))
	m := &outgoing{Header: engine.Header{Kind: engine.KindStreamEnd, Answers: w.id}, body: total}
	if err := w.session.submit(w.ctx, m); err != nil {
		return w.why(err)
	}
	w.finish(errStreamClosed)
	defer w.cancel(nil)
	return w.await(m.number)
}

var errStreamClosed = errors.New("e2e: the stream is closed")

// finish is called under turn when the other end is told that there is no more.
func (w *StreamWriter) finish(err error) {
	w.finished, w.err = true, err
	w.session.streams.forget(w.id)
	w.release()
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
		case s.engine.Acked() >= number:
			return nil
		case s.over():
			return s.err
		}
		s.engine.Ask()
		s.control()
		s.pump()
		select {
		case <-news:
		case <-moved:
		case <-s.ended:
		case <-w.ctx.Done():
			return w.why(w.ctx.Err())
		}
	}
}

// Abort gives the stream up, unless it is closed: the other end learns that it is not
// complete.
func (w *StreamWriter) Abort() { w.cancel(&StreamError{}) }

// cancelled is Abort by the other end.
func (w *StreamWriter) cancelled() { w.cancel(&StreamError{Remote: true}) }

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
	}
}

// A Stream says what a stream is about.
type Stream struct {
	Type string    // as its sender has called it, see [Message]
	Time time.Time // when it was begun, by its sender's clock
	ID   uint64    // its number among its sender's messages
	Data []byte    // what its sender has put ahead of it
}

// A StreamReader receives one stream. One goroutine may read at a time; Close may be
// called by any.
type StreamReader struct {
	Stream
	session *Session
	unwatch func() bool

	mu     sync.Mutex // guards what follows
	some   chan struct{}
	pieces []incoming
	read   int   // of the first piece
	size   int64 // that has come
	total  int64 // -1 until it is known
	over   error // how it ends, behind the pieces; nil while it goes on
	opened incoming
}

// ReceiveStream waits for the next stream that the other end begins. The context is for the
// life of the stream too: when it ends the stream is given up. Up to [MaxStreams] wait, with
// what is in them; see [Session.OpenStream] for what that holds up. One that its sender gives
// up while it waits is not seen at all.
//
// It may be called while messages are received or served. Errors: the context's;
// [ErrStreamStored]; [*CloseError].
func (s *Session) ReceiveStream(ctx context.Context) (*StreamReader, error) {
	if s.keeper != nil {
		return nil, ErrStreamStored
	}
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	s.pump()
	for {
		if s.over() && !s.err.Remote {
			return nil, s.err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r := s.streams.accept(); r != nil {
			s.consumed(r.opened)
			r.unwatch = context.AfterFunc(ctx, func() { r.giveUp(&StreamError{Err: context.Cause(ctx)}) })
			return r, nil
		}
		if s.over() {
			return nil, s.err
		}
		select {
		case <-s.streams.some:
		case <-s.ended:
		case <-ctx.Done():
		}
	}
}

// Read returns what has come. Its error is [io.EOF] only where the sender has said, in a
// message that no hop can forge, that this is all, and it is; a [*StreamError] where either
// end has given the stream up, or closed the session in the middle of it; and a [*CloseError]
// where the session ended otherwise.
func (r *StreamReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s := r.session
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	for {
		over := s.over()
		if over && !s.err.Remote {
			return 0, s.err
		}
		n, some, err := r.take(p)
		switch {
		case n > 0 || err != nil:
			return n, err
		case over && errors.Is(s.err, io.EOF): // the session's, not the stream's
			return 0, &StreamError{Remote: true}
		case over:
			return 0, s.err
		}
		s.pump()
		select {
		case <-some:
		case <-s.ended:
		}
	}
}

// take copies from the first piece.
func (r *StreamReader) take(p []byte) (n int, some <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pieces) == 0 {
		return 0, r.some, r.over
	}
	piece := &r.pieces[0]
	n = copy(p, piece.body[r.read:])
	if r.read += n; r.read == len(piece.body) {
		done := *piece
		*piece = incoming{}
		r.pieces, r.read = r.pieces[1:], 0
		r.session.streams.free(done.body)
		r.session.consumed(done)
	}
	return n, r.some, nil
}

// Close gives the stream up, unless it has been read to its end. The sender learns that
// nobody wants more of it.
func (r *StreamReader) Close() error {
	r.unwatch()
	r.giveUp(&StreamError{})
	return nil
}

// giveUp drops what has come and tells the sender, if there may be more.
func (r *StreamReader) giveUp(why error) {
	if r.end(why, true) {
		r.session.streams.drop(r.session, r.ID)
	}
}

// end says how the stream ends, and reports whether that was open. Where it is given up the
// pieces are dropped.
func (r *StreamReader) end(why error, now bool) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.over == nil
	if first || now && r.over == io.EOF && len(r.pieces) > 0 {
		r.over = why
	}
	if now {
		for _, m := range r.pieces {
			r.session.consumed(m)
		}
		r.pieces, r.read = nil, 0
	}
	r.wake()
	return first
}

// wake is called under mu.
func (r *StreamReader) wake() {
	close(r.some)
	r.some = make(chan struct{})
}

// put takes a piece, or reports that the stream is given up.
func (r *StreamReader) put(m incoming) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != nil {
		return false
	}
	r.pieces = append(r.pieces, m)
	r.size += int64(len(m.body))
	r.wake()
	return true
}

// streams are those of a session.
type streams struct {
	cancelling feed[uint64]

	mu      sync.Mutex    // guards what follows
	slots   chan struct{} // made with the first stream
	some    chan struct{} // made by accept; may hold a token while a stream waits
	out     map[uint64]*StreamWriter
	in      map[uint64]*StreamReader // nil: given up, and the sender does not know yet
	waiting []*StreamReader
	opened  uint64   // by this end
	cancels uint64   // by the other end
	spare   [][]byte // memory for pieces
}

// places returns the channel that holds a token for each stream under way.
func (t *streams) places() chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots = make(chan struct{}, MaxStreams)
	}
	return t.slots
}

// begin is called before the frame that opens a stream is written.
func (t *streams) begin(number uint64, w *StreamWriter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out == nil {
		t.out = map[uint64]*StreamWriter{}
	}
	t.out[number] = w
	t.opened++
	w.id = number
}

// forget drops a stream of this end's that is over.
func (t *streams) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, id)
}

func (t *streams) accept() *StreamReader {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.some == nil {
		t.some = make(chan struct{}, 1)
	}
	if len(t.waiting) == 0 {
		return nil
	}
	r := t.waiting[0]
	if t.waiting = slices.Delete(t.waiting, 0, 1); len(t.waiting) > 0 {
		t.wake()
	}
	return r
}

// leave takes a stream from those that wait, and reports whether it did.
func (t *streams) leave(r *StreamReader) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, r)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

// any reports whether the other end has streams under way.
func (t *streams) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.in) > 0
}

// wake is called under mu.
func (t *streams) wake() {
	select {
	case t.some <- struct{}{}:
	default:
	}
}

// drop has the sender of a stream told that it is not wanted any more. What comes of it
// until it knows is dropped.
func (t *streams) drop(s *Session, id uint64) {
	t.mu.Lock()
	_, here := t.in[id]
	if here {
		t.in[id] = nil
	}
	t.mu.Unlock()
	if here {
		s.cancelStream(id)
	}
}

// cancelStream tells the sender of a stream that it is not wanted, without waiting. Who
// opens streams again and again and takes no cancels is cut off.
func (s *Session) cancelStream(id uint64) {
	if !s.streams.cancelling.put(id, s.window/minCost, s.sendCancel) &&
		s.end(&CloseError{Remote: true, Err: ErrStalled}) {
		go s.hangUp(transport.CodePolicy) // which may take long, and here is a lock held
	}
}

// sendCancel fails only with the session.
func (s *Session) sendCancel(id uint64) {
	s.submit(s.life, &outgoing{Header: engine.Header{Kind: engine.KindStreamCancel, Answers: id}})
}

// maxSpare is how many pieces' memory is kept.
const maxSpare = 4

// copyOf returns a copy of a piece.
func (t *streams) copyOf(b []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, spare := range t.spare {
		if cap(spare) >= len(b) && cap(spare) <= 2*len(b) {
			t.spare = slices.Delete(t.spare, i, i+1)
			return append(spare[:0], b...)
		}
	}
	return bytes.Clone(b)
}

// free takes memory back.
func (t *streams) free(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, b)
	}
}

// stream does what a message of a stream says, whose body is somebody else's memory. The
// other end itself has made it, so one that cannot be ends the session.
func (s *Session) stream(m incoming) error {
	defer s.schedule() // of an ack
	var ok bool
	switch m.Kind {
	case engine.KindStreamOpen:
		ok = s.streamOpens(m)
	case engine.KindStreamCancel:
		ok = s.streamCancelled(m)
	default:
		ok = s.streamGoesOn(m)
	}
	if !ok {
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	}
	return nil
}

func (s *Session) streamOpens(m incoming) bool {
	if len(m.body) > MaxStreamMetadata {
		return false
	}
	m.body = bytes.Clone(m.body)
	r := &StreamReader{
		Stream:  Stream{m.Type, m.Time, m.number, m.body},
		session: s, total: -1, opened: m, some: make(chan struct{}), unwatch: func() bool { return true },
	}
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in == nil {
		t.in = map[uint64]*StreamReader{}
	}
	if len(t.in) >= MaxStreams {
		return false
	}
	if s.keeper != nil { // it would not go on after a restart
		t.in[m.number] = nil
		s.consumed(m)
		s.cancelStream(m.number)
		return true
	}
	t.in[m.number] = r
	t.waiting = append(t.waiting, r)
	t.wake()
	return true
}

// streamCancelled is for a stream of this end's that the other one does not want. One that
// is over may be cancelled too, but none twice by the same process.
func (s *Session) streamCancelled(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	w := t.out[m.Answers]
	t.cancels++
	ok := len(m.body) == 0 && m.Answers > 0 && m.Answers <= s.engine.Sent() && t.cancels <= s.answersTo(t.opened)
	t.mu.Unlock()
	if ok && w != nil {
		w.cancelled()
	}
	return ok
}

// streamGoesOn is for a piece or the end of a stream of the other end's.
func (s *Session) streamGoesOn(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	r, known := t.in[m.Answers]
	if m.Kind != engine.KindStreamPiece {
		delete(t.in, m.Answers)
	}
	t.mu.Unlock()
	if !known {
		if s.keeper != nil { // it may be from before a restart
			s.consumed(m)
		}
		return s.keeper != nil
	}
	switch m.Kind {
	case engine.KindStreamPiece:
		if len(m.body) == 0 {
			return false
		}
		if r != nil {
			m.body = t.copyOf(m.body)
		}
		if r == nil || !r.put(m) {
			s.consumed(m)
		}
	case engine.KindStreamEnd:
		s.consumed(m)
		if len(m.body) != streamEndSize {
			return false
		}
		if r != nil && !r.complete(binary.BigEndian.Uint64(m.body)) {
			return false
		}
	case engine.KindStreamAbort:
		if len(m.body) != 0 {
			return false
		}
		if r != nil && t.leave(r) { // nobody has seen it
			s.consumed(r.opened)
		}
		if r != nil {
			r.end(&StreamError{Remote: true}, true)
		}
	}
	return true
}

// complete ends a stream of so many bytes, or reports that they are others.
func (r *StreamReader) complete(total uint64) bool {
	r.mu.Lock()
	ok := uint64(r.size) == total || r.over != nil
	r.mu.Unlock()
	if ok {
		r.end(io.EOF, false)
	}
	return ok
}
