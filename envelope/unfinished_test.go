package envelope

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A stream that its sender did not mean to be complete has no final proof: whoever
// reads it is told that it is cut. The sender's code is what people write, with a
// Close that is deferred.
func TestA65UnfinishedStreamDoesNotOpen(t *testing.T) {
	broken := errors.New("the source is gone")
	for name, send := range map[string]func(*Writer) error{
		"a source that fails": func(w *Writer) error {
			defer w.Close()
			_, err := io.Copy(w, onlyReader{io.MultiReader(bytes.NewReader(content(3*segmentData)), iotest.ErrReader(broken))})
			return err
		},
		"a source that fails, and nobody looks": func(w *Writer) error {
			w.ReadFrom(io.MultiReader(bytes.NewReader(content(100)), iotest.ErrReader(broken)))
			return w.Finish()
		},
		"a source that is cut": func(w *Writer) error {
			defer w.Close()
			_, err := w.ReadFrom(io.MultiReader(bytes.NewReader(content(100)), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return err
		},
		"a panic": func(w *Writer) (err error) {
			defer func() { err = recover().(error) }()
			defer w.Close()
			w.Write(content(100))
			panic(broken)
		},
		"an early return": func(w *Writer) error {
			defer w.Close()
			w.Write(content(segmentData))
			return broken
		},
		"closed by mistake": func(w *Writer) error { w.Write(content(100)); return w.Close() },
		"given up": func(w *Writer) error {
			w.Write(content(100))
			w.Abort()
			return w.Finish()
		},
		"finished after Close": func(w *Writer) error {
			w.Write(content(100))
			w.Close()
			return w.Finish()
		},
	} {
		for _, l := range links(t) {
			var b bytes.Buffer
			w, err := l.Sealer.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			if err := send(w); err == nil {
				t.Errorf("%s, %s: the sender is told nothing", l.name, name)
			}
			refusedStream(t, &l.Opener, b.Bytes(), content(3*segmentData), l.name, name)
		}
	}
}

// onlyReader keeps io.Copy from asking the source to write itself.
type onlyReader struct{ io.Reader }

func TestFinishedStreamOpens(t *testing.T) {
	l := links(t)[0]
	var b bytes.Buffer
	w, err := l.Sealer.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(content(100))); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{w.Finish, w.Finish, w.Close, func() error { w.Abort(); return nil }, w.Finish} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	if got, err := openStream(&l.Opener, b.Bytes()); err != nil || !bytes.Equal(got, content(100)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
