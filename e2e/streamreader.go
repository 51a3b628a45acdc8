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
	from    *arrival
	unwatch func() bool
	held    bool // it counts among those that the application was given; guarded by the mu of the streams

	mu     sync.Mutex // guards what follows
	some   chan struct{}
	unread buffer
	over   error // how it ends, behind what is unread; nil while it goes on
}

// ReceiveStream waits for the next stream that the other end begins. The context is for the
// life of the stream too: when it ends the stream is given up. Up to [MaxStreams] wait, or
// are not read yet, with what is in them: 16,384 bytes each, and a [Config.Window] in all of
// them. They hold up nothing but their writers, see [Session.OpenStream]. One that its
// sender gives up while it waits is not seen at all.
//
// No more than MaxStreams are with the application at a time, also where their senders have given
// them up meanwhile and begun others: ReceiveStream waits until one of them has been read to
// its end, or to the error that it ends with, or is closed. Once the session has ended it waits
// for none.
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
		over := s.over()
		if r := s.acceptStream(); r != nil {
			r.unwatch = context.AfterFunc(ctx, func() { r.giveUp(&StreamError{Err: context.Cause(ctx)}) })
			return r, nil
		}
		if over {
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
		if n == 0 && err != nil {
			s.streams.doneWith(r)
		}
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

// take copies from what is unread.
func (r *StreamReader) take(p []byte) (n int, some <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unread.empty() {
		return 0, r.some, r.over
	}
	n, free := r.unread.take(&r.session.streams, p)
	if free > 0 {
		r.session.took(r.from, free)
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

// giveUp drops what has come, and has the sender told.
func (r *StreamReader) giveUp(why error) {
	r.end(why, true)
	r.session.unwanted(r.from)
	r.session.streams.doneWith(r)
}

// end says how the stream ends, unless that is known. Where it is given up what is unread
// is dropped.
func (r *StreamReader) end(why error, now bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil || now && r.over == io.EOF && !r.unread.empty() {
		r.over = why
	}
	if now {
		r.unread = buffer{}
	}
	r.wake()
}

// wake is called under mu.
func (r *StreamReader) wake() {
	close(r.some)
	r.some = make(chan struct{})
}

// put takes a piece, unless the stream is given up.
func (r *StreamReader) put(piece []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.unread.put(&r.session.streams, piece)
		r.wake()
	}
}
