package streams

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Options are the options of a stream to send. Nil means their zero value.
type Options struct {
	Data     []byte // sent before the stream, at most [MaxMetadata] bytes
	Progress func(arrived int64)
}

// Open begins a stream. It waits while [Max] of them are under way. The context is for the life of
// the stream.
func (s *Streams) Open(ctx context.Context, typ string, opts *Options) (*Writer, error) {
	if opts == nil {
		opts = &Options{}
	}
	if len(opts.Data) > MaxMetadata {
		return nil, fmt.Errorf("e2e: stream: %w: %d bytes of data ahead, at most %d", fault.ErrTooLarge, len(opts.Data), MaxMetadata)
	}
	slots := s.slotsOut()
	select {
	case slots <- struct{}{}:
	case <-s.session.Done():
		return nil, s.session.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := newWriter(s, ctx, opts.Progress, sync.OnceFunc(func() { <-slots }))
	if err := w.open(typ, opts.Data); err != nil {
		w.cancel(nil)
		w.release()
		return nil, err
	}
	return w, nil
}

// open sends the message that opens the stream. It keeps the turn until the writer is complete:
// the peer's reaction, or the end of the context, may come at once.
func (w *Writer) open(typ string, data []byte) error {
	w.turn <- struct{}{}
	defer w.leave()
	m := Outgoing{Header: engine.Header{Kind: engine.KindStreamOpen, Type: typ}, Body: data, Writer: w}
	if _, err := w.streams.session.Submit(w.ctx, m); err != nil {
		return err
	}
	w.unwatch = context.AfterFunc(w.ctx, w.sendAbort)
	return nil
}

// Send sends everything that r has to give as a stream, and returns when it has arrived at the
// peer's session. If r fails, Send gives the stream up and returns the error of r.
func (s *Streams) Send(ctx context.Context, typ string, r io.Reader, opts *Options) error {
	w, err := s.Open(ctx, typ, opts)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.ReadFrom(r); err != nil {
		return err
	}
	return w.Finish()
}
