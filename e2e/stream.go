package e2e

import (
	"context"
	"io"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/streams"
)

const (
	// MaxStreams is how many streams each end may have under way at a time, with those that
	// the other end has not read to their end.
	MaxStreams = streams.Max // 64

	// MaxStreamMetadata bounds the Data of [Stream], in bytes.
	MaxStreamMetadata = streams.MaxMetadata // 4096
)

// StreamOptions are those of a stream to send. Nil means their zero value.
type StreamOptions struct {
	// Data goes ahead of the stream, at most [MaxStreamMetadata] bytes: a name, a size.
	Data []byte

	// Progress is called by Write and Finish with the number of bytes that have arrived at
	// the other end's session, each time with a larger one. It must not block.
	Progress func(arrived int64)
}

// A Stream says what a stream is about.
type Stream struct {
	Type string    // as its sender has called it, see [Message]
	Time time.Time // when it was begun, by its sender's clock
	ID   uint64    // its number among its sender's messages
	Data []byte    // what its sender has put ahead of it
}

// SendStream sends everything that r has to give as a stream, see [Session.OpenStream], and
// returns when it has arrived at the other end's session. If r fails the stream is given
// up, and the error is that of r.
func (s *Session) SendStream(ctx context.Context, typ string, r io.Reader, opts *StreamOptions) error {
	if s.keeper != nil {
		return ErrStreamStored
	}
	return s.streams.Send(ctx, typ, r, (*streams.Options)(opts))
}

// OpenStream begins a stream of a type, see [Message]: bytes without a bound, in constant
// memory at both ends. It ends with Finish, and then only it is complete; with Close or
// Abort; or with the context, which is for the stream's life. It waits while [MaxStreams] are under
// way: those that the other end has not read to their end, or given up.
//
// Several streams may be under way, between other messages. Each has a credit of its own,
// which the other end gives as it reads: 16,384 bytes to begin with, and then up to half of
// its [Options.Window]. A stream that nobody reads holds up its own Write, for as long as
// its context lasts, and nothing else.
//
// Errors: the context's; [ErrStreamStored]; one about the type or the options; [*CloseError].
func (s *Session) OpenStream(ctx context.Context, typ string, opts *StreamOptions) (*StreamWriter, error) {
	if s.keeper != nil {
		return nil, ErrStreamStored
	}
	w, err := s.streams.Open(ctx, typ, (*streams.Options)(opts))
	if err != nil {
		return nil, err
	}
	return &StreamWriter{w}, nil
}

// A StreamWriter sends one stream. Only [StreamWriter.Finish] makes it complete: do not defer
// that. What may be deferred is [StreamWriter.Close], which gives up a stream that is not
// finished. One goroutine may use it at a time; Abort and Close may be called by any.
type StreamWriter struct{ stream *streams.Writer }

// Write sends p, in pieces of at most 64 KiB. It waits while the other end does not read,
// until the stream's context ends. Errors: a [*StreamError], or a [*CloseError].
func (w *StreamWriter) Write(p []byte) (n int, err error) { return w.stream.Write(p) }

// ReadFrom sends all of r, up to its [io.EOF]. It is what io.Copy calls. If r fails the
// stream is given up: what was read is not all.
func (w *StreamWriter) ReadFrom(r io.Reader) (n int64, err error) { return w.stream.ReadFrom(r) }

// Finish completes the stream, and returns when all of it has arrived at the other end's
// session; its reader may be still at it. Errors: a [*StreamError] or a [*CloseError], and
// then the other end does not take the stream for complete, unless the error came while
// Finish waited.
func (w *StreamWriter) Finish() error { return w.stream.Finish() }

// Close is Abort, and returns an error unless the stream is finished.
func (w *StreamWriter) Close() error { return w.stream.Close() }

// Abort gives the stream up, unless it is finished: the other end learns that it is not
// complete.
func (w *StreamWriter) Abort() { w.stream.Abort() }

// ReceiveStream waits for the next stream that the other end begins. The context is for the
// life of the stream too: when it ends the stream is given up. Up to [MaxStreams] wait, or
// are not read yet, with what is in them: 16,384 bytes each, and a [Options.Window] in all of
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
	r, err := s.streams.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return &StreamReader{Stream(r.Stream), r}, nil
}

// A StreamReader receives one stream. One goroutine may read at a time; Close may be
// called by any.
type StreamReader struct {
	Stream
	stream *streams.Reader
}

// Read returns what has come. Its error is [io.EOF] only where the sender has said, in a
// message that no hop can forge, that this is all, and it is; a [*StreamError] where either
// end has given the stream up, or closed the session in the middle of it; and a [*CloseError]
// where the session ended otherwise.
func (r *StreamReader) Read(p []byte) (int, error) { return r.stream.Read(p) }

// Close gives the stream up, unless it has been read to its end. The sender learns that
// nobody wants more of it.
func (r *StreamReader) Close() error { return r.stream.Close() }
