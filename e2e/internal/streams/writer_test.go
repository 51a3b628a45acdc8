package streams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// Whoever receives a stream that its sender did not mean to be complete is told. The
// sender's code is what people write, with a Close that is deferred.
func TestA65StreamsThatAreNotFinished(t *testing.T) {
	broken := errors.New("the source is gone")
	for name, end := range map[string]func(w *streams.Writer) error{
		"a source that fails": func(w *streams.Writer) error {
			defer w.Close()
			_, err := io.Copy(w, iotest.ErrReader(broken))
			return err
		},
		"a source that fails, and nobody looks": func(w *streams.Writer) error {
			w.ReadFrom(iotest.ErrReader(broken))
			return w.Finish()
		},
		"a panic": func(w *streams.Writer) (err error) {
			defer func() { err = recover().(error) }()
			defer w.Close()
			panic(broken)
		},
		"closed by mistake":    func(w *streams.Writer) error { return w.Close() },
		"finished after Close": func(w *streams.Writer) error { w.Close(); return w.Finish() },
	} {
		t.Run(name, func(t *testing.T) {
			near, far := join(t)
			w := mustOpen(t, near)
			w.Write([]byte("begun"))
			r := mustAccept(t, far)
			mustReadSome(t, r, len("begun"))
			sent := make(chan error, 1)
			go func() { sent <- end(w) }()
			_, err := io.ReadAll(r)
			wantGivenUp(t, err, true)
			if err := <-sent; err == nil {
				t.Error("the sender is told nothing")
			}
			mustPass(t, near, far, 1000)
		})
	}
}

func TestA15StreamsOfASourceThatPanics(t *testing.T) {
	near, far := join(t)
	seen, panicked := make(chan struct{}), make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		near.Send(t.Context(), "file", io.MultiReader(strings.NewReader("begun"), panics(seen)), nil)
	}()
	r := mustAccept(t, far)
	close(seen)
	<-panicked
	_, err := io.ReadAll(r)
	wantGivenUp(t, err, true)
}

// panics panics when its channel is closed.
type panics chan struct{}

func (p panics) Read([]byte) (int, error) {
	<-p
	panic("the source is gone")
}

func TestStreamThatIsFinishedStaysComplete(t *testing.T) {
	near, far := join(t)
	w := mustOpen(t, near)
	w.Write([]byte("all of it"))
	if err := errors.Join(w.Finish(), w.Close()); err != nil {
		t.Error(err)
	}
	w.Abort()
	if got, err := io.ReadAll(mustAccept(t, far)); err != nil || string(got) != "all of it" {
		t.Errorf("%q, %v", got, err)
	}
}

// What io says of a source that was cut is an error like others, not the end.
func TestA15StreamsOfASourceThatWasCut(t *testing.T) {
	whole, errCutOnce := randomBytes(3, 1<<20), errors.New("cut")
	for name, cut := range map[string]io.Reader{
		"at once":           iotest.ErrReader(io.ErrUnexpectedEOF),
		"within a piece":    io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"behind a piece":    io.MultiReader(bytes.NewReader(whole[:64<<10-128]), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"with its last one": iotest.DataErrReader(io.MultiReader(bytes.NewReader(whole[:64<<10-128]), iotest.ErrReader(errCutOnce))),
		"a body of HTTP":    io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := join(t)
				sent := make(chan error, 1)
				go func() { sent <- near.Send(t.Context(), "file", cut, nil) }()
				ctx, cancel := context.WithCancel(t.Context())
				received := make(chan struct{})
				go func() {
					defer close(received)
					r, err := far.Accept(ctx)
					if err != nil {
						return // it was given up before anybody saw it
					}
					if n, err := io.Copy(io.Discard, r); err == nil {
						t.Errorf("%d bytes read as all", n)
					}
				}()
				if err := <-sent; !errors.Is(err, io.ErrUnexpectedEOF) && err != errCutOnce {
					t.Errorf("Send: %v", err)
				}
				synctest.Wait() // the abort has arrived
				cancel()
				<-received
				mustPass(t, near, far, 1000)
			})
		})
	}
}

// A reader that has enough stops the sender.
func TestStreamsThatTheReaderCloses(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(r *streams.Reader, cancel func())
		times int
	}{
		"Close":     {func(r *streams.Reader, _ func()) { r.Close() }, streams.Max + 3}, // places are given back
		"a context": {func(_ *streams.Reader, cancel func()) { cancel() }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := join(t)
				for range c.times {
					ctx, cancel := context.WithCancel(t.Context())
					w, written := mustOpen(t, near), 0
					r, err := far.Accept(ctx)
					if err != nil {
						t.Fatal(err)
					}
					stopped := flood(w, &written)
					mustReadSome(t, r, 60_000)
					c.end(r, cancel)
					wantGivenUp(t, <-stopped, true)
					wantGivenUp(t, w.Finish(), true)
					_, err = r.Read(make([]byte, 1))
					wantGivenUp(t, err, false)
					cancel()
				}
				mustPass(t, near, far, 1000)
			})
		})
	}
}
