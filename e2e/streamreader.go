package e2e

import (
	"context"
	"errors"
	"io"
	"sync"
)

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
