package e2e_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hopseal/hopseal/e2e"
)

// Whoever receives a stream that its sender did not mean to be complete is told. The
// sender's code is what people write, with a Close that is deferred.
func TestA65StreamsThatAreNotFinished(t *testing.T) {
	broken := errors.New("the source is gone")
	for name, end := range map[string]func(w *e2e.StreamWriter) error{
		"a source that fails": func(w *e2e.StreamWriter) error {
			defer w.Close()
			_, err := io.Copy(w, iotest.ErrReader(broken))
			return err
		},
		"a source that fails, and nobody looks": func(w *e2e.StreamWriter) error {
			w.ReadFrom(iotest.ErrReader(broken))
			return w.Finish()
		},
		"a panic": func(w *e2e.StreamWriter) (err error) {
			defer func() { err = recover().(error) }()
			defer w.Close()
			panic(broken)
		},
		"closed by mistake":    func(w *e2e.StreamWriter) error { return w.Close() },
		"finished after Close": func(w *e2e.StreamWriter) error { w.Close(); return w.Finish() },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := over(t)
			w := mustOpenStream(t, c)
			mustWriteTo(t, w, "begun")
			r := mustReceiveStream(t, s)
			mustReadFrom(t, r, "begun")
			sent := make(chan error, 1)
			go func() { sent <- end(w) }()
			refusedStream(t, r)
			if err := <-sent; err == nil {
				t.Error("the sender is told nothing")
			}
			mustSend(t, c, "the session goes on")
			mustReceive(t, s, "the session goes on")
		})
	}
}

func refusedStream(t *testing.T, r *e2e.StreamReader) {
	t.Helper()
	var given *e2e.StreamError
	if got, err := io.ReadAll(r); !errors.As(err, &given) || !given.Remote {
		t.Errorf("%q, %v", got, err)
	}
}

func TestA15StreamsOfASourceThatPanics(t *testing.T) {
	c, s := over(t)
	seen, panicked := make(chan struct{}), make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		c.SendStream(t.Context(), "file", io.MultiReader(strings.NewReader("begun"), panics(seen)), nil)
	}()
	r := mustReceiveStream(t, s)
	close(seen)
	<-panicked
	refusedStream(t, r)
}

// panics panics when its channel is closed.
type panics chan struct{}

func (p panics) Read([]byte) (int, error) {
	<-p
	panic("the source is gone")
}

func TestStreamThatIsFinishedStaysComplete(t *testing.T) {
	c, s := over(t)
	w := mustOpenStream(t, c)
	mustWriteTo(t, w, "all of it")
	if err := errors.Join(w.Finish(), w.Close()); err != nil {
		t.Error(err)
	}
	w.Abort()
	if got, err := io.ReadAll(mustReceiveStream(t, s)); err != nil || string(got) != "all of it" {
		t.Errorf("%q, %v", got, err)
	}
}
