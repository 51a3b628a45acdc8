package e2e

import (
	"context"
	"io"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// StreamOptions are the options of a stream to send. Nil means their zero value.
type StreamOptions struct {
	// Data is sent before the stream, such as a name or a size. It has at most 4,096 bytes.
	Data []byte

	// Write and Finish call Progress with the number of bytes that have arrived at the other
	// end's session, whenever it has grown. It must not block.
	Progress func(arrived int64)
}

// A Stream says what a stream is about.
type Stream struct {
	Type string    // in the words of the sender, see [Message]
	Time time.Time // when the sender began the stream, by its clock
	ID   uint64    // the stream's number among the sender's messages
	Data []byte    // StreamOptions.Data of the sender
}

// SendStream sends everything that r has to give as a stream, see [Session.OpenStream]. It
// returns when all of it has arrived at the other end's session. If r fails, SendStream gives
// the stream up and returns the error of r.
func (s *Session) SendStream(ctx context.Context, typ string, r io.Reader, opts *StreamOptions) error {
	if s.keeper != nil {
		return fault.ErrStreamStored
	}
	return s.streams.Send(ctx, typ, r, (*streams.Options)(opts))
}

// OpenStream begins a stream of a type, see [Message]. A stream has any number of bytes and
// takes constant memory at both ends. Only [StreamWriter.Finish] completes it. Close, Abort and
// the end of the context give it up: the context is for the stream's life. While 64 are
// under way, OpenStream waits until the other end has read one of them to its end, or given it up.
//
// Several streams may be under way, between other messages. Each has a credit of its own, which
// the other end gives as it reads: 16,384 bytes at first, and later up to half of its
// [Options.Window]. If nobody reads a stream, its Write blocks for as long as the context lasts,
// and nothing else does.
//
// Errors: the context's; [errors.ErrUnsupported] in a session with a
// [Options.Store]; one about the type or the options; [*CloseError].
func (s *Session) OpenStream(ctx context.Context, typ string, opts *StreamOptions) (*StreamWriter, error) {
	if s.keeper != nil {
		return nil, fault.ErrStreamStored
	}
	w, err := s.streams.Open(ctx, typ, (*streams.Options)(opts))
	if err != nil {
		return nil, err
	}
	return &StreamWriter{w}, nil
}

// A StreamWriter sends one stream. Only [StreamWriter.Finish] completes it: do not defer that
// call. Defer [StreamWriter.Close], which gives up a stream that is not finished. One goroutine
// may use a StreamWriter at a time. Any may call Abort and Close.
type StreamWriter struct{ stream *streams.Writer }

// Write sends p, in pieces of at most 64 KiB. It waits while the other end does not read,
// until the stream's context ends. Errors: a [*StreamError], or a [*CloseError].
func (w *StreamWriter) Write(p []byte) (n int, err error) { return w.stream.Write(p) }

// ReadFrom sends all of r, up to its [io.EOF]. It is what io.Copy calls. If r fails, ReadFrom
// gives the stream up, since what it has read is not all.
func (w *StreamWriter) ReadFrom(r io.Reader) (n int64, err error) { return w.stream.ReadFrom(r) }

// Finish completes the stream. It returns when all of it has arrived at the other end's session;
// the application there may still be reading. Errors: a [*StreamError] or a [*CloseError]. After
// an error the other end does not take the stream for complete, unless Finish was already
// waiting for it to arrive.
func (w *StreamWriter) Finish() error { return w.stream.Finish() }

// Close gives the stream up and returns an error, unless the stream is finished.
func (w *StreamWriter) Close() error { return w.stream.Close() }

// Abort gives the stream up, unless it is finished. The other end learns that it is not
// complete.
func (w *StreamWriter) Abort() { w.stream.Abort() }

// ReceiveStream waits for the next stream that the other end begins. The context is for the
// life of the stream too: its end gives the stream up. Up to 64 may wait here, or be
// read only in part. A session holds 16,384 unread bytes of each, and [Options.Window] more of
// all of them. Unread streams block nothing but their writers, see [Session.OpenStream].
// ReceiveStream does not return a stream that its sender gave up while it waited.
//
// The application has at most 64 at a time, even if senders give theirs up and begin
// others: ReceiveStream waits until the application has read one to its end, or to the error
// that it ends with, or has closed it. Once the session has ended it does not wait for that.
//
// It may be called while messages are received or served. Errors: the context's;
// [errors.ErrUnsupported] in a session with a [Options.Store]; [*CloseError].
func (s *Session) ReceiveStream(ctx context.Context) (*StreamReader, error) {
	if s.keeper != nil {
		return nil, fault.ErrStreamStored
	}
	r, err := s.streams.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return &StreamReader{Stream(r.Stream), r}, nil
}

// A StreamReader receives one stream. One goroutine may read at a time. Any may call Close.
type StreamReader struct {
	Stream
	stream *streams.Reader
}

// Read returns what has come. Its error is
//   - [io.EOF] only if all of the stream has come: the sender has said so, in a message that no
//     hop can forge;
//   - a [*StreamError] if either end has given the stream up, or if the other end has closed the
//     session in the middle of it;
//   - a [*CloseError] if the session has ended otherwise.
func (r *StreamReader) Read(p []byte) (int, error) { return r.stream.Read(p) }

// Close gives the stream up, unless it has been read to its end. The sender learns that nobody
// wants the rest.
func (r *StreamReader) Close() error { return r.stream.Close() }
