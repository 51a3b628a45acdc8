package streams

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/fault"
)

// A Reader receives one stream. One goroutine may read at a time; any may call Close.
type Reader struct {
	Stream
	streams *Streams
	from    *arrival

	held    bool        // the application has it and is not done with it; guarded by the mu of streams, like
	unwatch func() bool // stops watching the context of Accept; called without locks

	mu     sync.Mutex    // guards what follows
	more   chan struct{} // closed, and replaced, when something has come
	unread buffer
	over   error // what Read returns after the unread bytes; nil while the stream goes on
}

func newReader(s *Streams, a *arrival, about Stream) *Reader {
	return &Reader{Stream: about, streams: s, from: a, more: make(chan struct{})}
}

// Read returns what has come, and waits while there is nothing. Its error is io.EOF only if the
// whole stream has come and is read.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, more, err := r.read(p)
	if more == nil {
		return n, err
	}
	session := r.streams.session
	session.Want()
	defer session.Unwant()
	for more != nil {
		select {
		case <-more:
		case <-session.Done():
		}
		n, more, err = r.read(p)
	}
	return n, err
}

// read is Read without waiting: if there is nothing to return, it returns a channel that is closed
// when more has come. After an error there is nothing more.
func (r *Reader) read(p []byte) (n int, more <-chan struct{}, err error) {
	if n, more, err = r.next(p); err != nil {
		r.streams.release(r)
	}
	return n, more, err
}

// next takes what has come, or finds out how the stream ends. What had come before the peer ended
// the session is still returned.
func (r *Reader) next(p []byte) (n int, more <-chan struct{}, err error) {
	ended := r.streams.session.Err()
	if ended != nil && !ended.Remote {
		return 0, nil, ended
	}
	n, more, err = r.take(p)
	switch {
	case n > 0 || err != nil:
		return n, nil, err
	case ended == nil:
		return 0, more, nil
	case errors.Is(ended, io.EOF): // the session has ended in order, but the stream has not
		return 0, nil, &fault.StreamError{Remote: true}
	}
	return 0, nil, ended
}

// take copies from what is unread. If nothing is, it returns what Read has to wait for, or how the
// stream has ended.
func (r *Reader) take(p []byte) (n int, more <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unread.empty() {
		return 0, r.more, r.over
	}
	n, free := r.unread.take(r.streams, p)
	if free > 0 {
		r.streams.took(r.from, free)
	}
	return n, nil, nil
}

// Close gives the stream up, unless it has been read to its end, and tells the sender.
func (r *Reader) Close() error {
	r.giveUp(&fault.StreamError{})
	return nil
}

// giveUp drops what has come, and tells the sender.
func (r *Reader) giveUp(why error) {
	r.drop(why)
	r.streams.giveUp(r.from)
	r.streams.release(r)
}

// watch gives the stream up when the context of Accept ends. The caller holds no lock: the
// context is the application's, and so may be its AfterFunc.
func (r *Reader) watch(ctx context.Context) {
	unwatch := context.AfterFunc(ctx, func() { r.giveUp(&fault.StreamError{Err: context.Cause(ctx)}) })
	r.streams.mu.Lock()
	held := r.held
	if held {
		r.unwatch = unwatch
	}
	r.streams.mu.Unlock()
	if !held { // the application is done with it already
		unwatch()
	}
}

// put takes a piece, unless the stream is given up.
func (r *Reader) put(piece []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.unread.put(r.streams, piece)
		r.wake()
	}
}

// complete notes that the whole stream has come.
func (r *Reader) complete() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.over = io.EOF
	}
	r.wake()
}

// abort notes that the sender has given the stream up.
func (r *Reader) abort() { r.drop(&fault.StreamError{Remote: true}) }

// drop ends the stream with an error and forgets what is unread. A stream that has ended before
// keeps its error, unless all of it had come and not all is read.
func (r *Reader) drop(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil || r.over == io.EOF && !r.unread.empty() {
		r.over = why
	}
	r.unread = buffer{}
	r.wake()
}

// wake makes Read look again. The caller holds mu.
func (r *Reader) wake() {
	close(r.more)
	r.more = make(chan struct{})
}
