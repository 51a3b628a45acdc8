package streams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/leak"
)

// TestMain looks for goroutines that were left behind.
func TestMain(m *testing.M) { leak.Main(m) }

const (
	window      = 1 << 20 // as in e2e
	firstCredit = 16 << 10
)

// An end is one end of a session that is not there. It hands each message to the other end at
// once and in order. That acknowledges it, or ends the session if the streams refuse it.
type end struct {
	*streams.Streams
	peer    *end
	stored  bool
	hostile bool          // it does not care what the peer says
	late    time.Duration // how long each message takes to get here
	wire    chan streams.Incoming
	sending chan struct{} // holds a token while a message is numbered and put on the wire

	mu     sync.Mutex // guards what follows
	sent   uint64
	acked  uint64
	news   chan struct{} // closed and made anew when acked changes
	taken  uint64        // the last message of the peer's
	held   []uint64      // messages that are not acknowledged before they are consumed
	wanted int

	over     sync.Once
	done     chan struct{}
	err      *fault.CloseError
	conclude context.CancelFunc // of the life of the session
}

// join returns the two ends of a session.
func join(t testing.TB) (near, far *end) {
	near, far = newEnd(), newEnd()
	near.peer, far.peer = far, near
	var work sync.WaitGroup
	work.Go(near.receive)
	work.Go(far.receive)
	t.Cleanup(func() {
		near.close()
		work.Wait()
	})
	return near, far
}

func newEnd() *end {
	e := &end{wire: make(chan streams.Incoming, 16), sending: make(chan struct{}, 1), news: make(chan struct{}), done: make(chan struct{})}
	life, conclude := context.WithCancel(context.Background())
	e.conclude = conclude
	e.Streams = streams.New(e, life, streams.Limits{Window: window, MaxMessage: 1 << 20})
	return e
}

// joinHostile returns a hostile peer, and the end of a session with it.
func joinHostile(t testing.TB) (hostile, e *end) {
	hostile, e = join(t)
	hostile.hostile = true
	return hostile, e
}

// close ends the session in order.
func (e *end) close() {
	e.end(&fault.CloseError{})
	e.peer.end(&fault.CloseError{Remote: true})
}

func (e *end) end(why *fault.CloseError) {
	e.over.Do(func() {
		e.err = why
		close(e.done)
		e.conclude()
	})
}

// receive takes what the peer sends.
func (e *end) receive() {
	for {
		select {
		case m := <-e.wire:
			time.Sleep(e.late)
			e.take(m)
		case <-e.done:
			return
		}
	}
}

func (e *end) take(m streams.Incoming) {
	if e.stored && m.Kind == engine.KindStreamOpen {
		e.mu.Lock()
		e.held = append(e.held, m.Number)
		e.mu.Unlock()
	}
	if !e.hostile && !e.Deliver(m) {
		e.end(&fault.CloseError{Remote: true, Err: fault.ErrMisbehaved})
		e.peer.end(&fault.CloseError{Remote: true, Err: fault.ErrTruncated})
	}
	clear(m.Body) // which was somebody else's memory
	e.mu.Lock()
	e.taken = m.Number
	e.mu.Unlock()
	e.peer.ack(e.arrived())
}

// arrived returns the number of the last message that may be acknowledged.
func (e *end) arrived() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.held) > 0 {
		return e.held[0] - 1
	}
	return e.taken
}

func (e *end) ack(number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acked = max(e.acked, number)
	close(e.news)
	e.news = make(chan struct{})
}

func (e *end) Submit(ctx context.Context, m streams.Outgoing) (uint64, error) {
	select {
	case e.sending <- struct{}{}:
		defer func() { <-e.sending }()
	case <-e.done:
		return 0, e.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	number := e.number()
	if m.Writer != nil {
		m.Writer.Numbered(number)
	}
	select {
	case e.peer.wire <- streams.Incoming{Header: m.Header, Number: number, Body: bytes.Clone(m.Body), Size: len(m.Body)}:
		return number, nil
	case <-e.done:
		return 0, e.err
	}
}

func (e *end) number() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent++
	return e.sent
}

// raw sends a message that is none of a Writer's, unless the session is over.
func (e *end) raw(kind engine.Kind, answers uint64, body []byte) {
	e.Submit(context.Background(), streams.Outgoing{Header: engine.Header{Kind: kind, Answers: answers}, Body: body})
}

// flush waits until everything that was sent has been taken.
func (e *end) flush() { e.Await(context.Background(), e.Sent()) }

func (e *end) Await(ctx context.Context, number uint64) error {
	for {
		e.mu.Lock()
		acked, news := e.acked, e.news
		e.mu.Unlock()
		if acked >= number {
			return nil
		}
		select {
		case <-news:
		case <-e.done:
			return e.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *end) Sent() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent
}

func (e *end) Acked() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.acked
}

func (e *end) AnswersTo(messages uint64) uint64 { return messages }

func (e *end) Consumed(number uint64, _ int) {
	e.mu.Lock()
	e.held = slices.DeleteFunc(e.held, func(n uint64) bool { return n == number })
	e.mu.Unlock()
	e.peer.ack(e.arrived())
}

func (e *end) Want() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wanted++
}

func (e *end) Unwant() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wanted--
}

func (e *end) Stored() bool          { return e.stored }
func (e *end) Done() <-chan struct{} { return e.done }

func (e *end) Err() *fault.CloseError {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

// wantGoesOn fails if the session is over.
func wantGoesOn(t testing.TB, e *end) {
	t.Helper()
	if err := e.Err(); err != nil {
		t.Errorf("the session has ended: %v", err)
	}
}

// wantMisbehaved fails unless the streams have refused a message of the peer's.
func wantMisbehaved(t testing.TB, e *end) {
	t.Helper()
	if err := e.Err(); err == nil || !errors.Is(err, fault.ErrMisbehaved) {
		t.Errorf("got %v, want the end of the session", err)
	}
}

func mustOpen(t testing.TB, e *end) *streams.Writer {
	t.Helper()
	w, err := e.Open(t.Context(), "file", nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustAccept(t testing.TB, e *end) *streams.Reader {
	t.Helper()
	r, err := e.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustFinish(t testing.TB, w *streams.Writer) {
	t.Helper()
	if err := w.Finish(); err != nil {
		t.Error(err)
	}
}

// mustPass sends a stream from one end to the other.
func mustPass(t testing.TB, from, to *end, size int) {
	t.Helper()
	sent, data := make(chan error, 1), randomBytes(7, size)
	go func() { sent <- from.Send(t.Context(), "file", bytes.NewReader(data), nil) }()
	got, err := io.ReadAll(mustAccept(t, to))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d of %d bytes, %v", len(got), size, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// mustReadSome reads n bytes.
func mustReadSome(t testing.TB, r io.Reader, n int) {
	t.Helper()
	if _, err := io.ReadFull(r, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// wantGivenUp fails unless an error says that an end has given the stream up.
func wantGivenUp(t testing.TB, err error, remote bool) {
	t.Helper()
	var given *fault.StreamError
	if !errors.As(err, &given) || given.Remote != remote {
		t.Errorf("got %v, want a stream given up, remote %v", err, remote)
	}
}

// flood writes a stream for as long as that goes, and counts what it has written.
func flood(w *streams.Writer, written *int) <-chan error {
	stopped := make(chan error, 1)
	go func() {
		for {
			n, err := w.Write(make([]byte, 10_000))
			if *written += n; err != nil {
				stopped <- err
				return
			}
		}
	}()
	return stopped
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}
