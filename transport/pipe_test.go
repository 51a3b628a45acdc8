package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// mustRead reads one message and fails the test otherwise.
func mustRead(t *testing.T, c transport.Conn) string {
	t.Helper()
	b, err := c.Read(t.Context(), nil)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return string(b)
}

func mustWrite(t *testing.T, c transport.Conn, msg string) {
	t.Helper()
	if err := c.Write(t.Context(), []byte(msg)); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// wantClosed checks that err ended a connection with the given code and side.
func wantClosed(t *testing.T, err error, code transport.Code, remote bool) {
	t.Helper()
	var closed *transport.CloseError
	if !errors.As(err, &closed) {
		t.Fatalf("error %v (%T) is no CloseError", err, err)
	}
	if closed.Code != code || closed.Remote != remote {
		t.Fatalf("%v: code %d, remote %v; want %d, %v", err, closed.Code, closed.Remote, code, remote)
	}
	if !errors.Is(err, net.ErrClosed) {
		t.Fatalf("%v does not match net.ErrClosed", err)
	}
}

func TestPipeCarriesWholeMessagesBothWays(t *testing.T) {
	a, b := transport.Pipe()
	mustWrite(t, a, "one")
	mustWrite(t, a, "")
	mustWrite(t, a, "three")
	mustWrite(t, b, "back")
	for _, want := range []string{"one", "", "three"} {
		if got := mustRead(t, b); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if got := mustRead(t, a); got != "back" {
		t.Fatalf("got %q", got)
	}
}

func TestPipeReadAppendsAndWriteCopies(t *testing.T) {
	a, b := transport.Pipe()
	msg := []byte("tail")
	if err := a.Write(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	msg[0] = 'X'
	got, err := b.Read(t.Context(), []byte("head "))
	if err != nil || string(got) != "head tail" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestPipeDeliversWhatCameBeforeTheClose(t *testing.T) {
	a, b := transport.Pipe()
	mustWrite(t, a, "last words")
	a.Close(transport.CodeGoingAway, "bye")
	a.Close(transport.CodeInternal, "a second close says nothing")
	if got := mustRead(t, b); got != "last words" {
		t.Fatalf("got %q", got)
	}
	dst, err := b.Read(t.Context(), []byte("kept"))
	wantClosed(t, err, transport.CodeGoingAway, true)
	if !errors.Is(err, io.EOF) || string(dst) != "kept" {
		t.Fatalf("dst %q, err %v", dst, err)
	}
	wantClosed(t, b.Write(t.Context(), nil), transport.CodeGoingAway, true)
	_, err = a.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeGoingAway, false)
	if errors.Is(err, io.EOF) {
		t.Fatal("our own close must not look like the peer's")
	}
}

func TestPipeWriteWaitsForTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transport.Pipe(transport.WithBuffer(2))
		written := 0
		go func() {
			for a.Write(t.Context(), []byte("x")) == nil {
				written++
			}
		}()
		synctest.Wait()
		if written != 2 {
			t.Fatalf("%d writes went through, want 2", written)
		}
		mustRead(t, b)
		synctest.Wait()
		if written != 3 {
			t.Fatalf("%d writes went through, want 3", written)
		}
		b.Close(transport.CodeNormal, "")
		synctest.Wait()
	})
}

func TestPipeCloseUnblocksBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transport.Pipe(transport.WithBuffer(1))
		mustWrite(t, b, "fills the buffer")
		errs := make(chan error, 2)
		go func() { _, err := b.Read(t.Context(), nil); errs <- err }()
		go func() { errs <- b.Write(t.Context(), nil) }()
		synctest.Wait()
		a.Close(transport.CodeNormal, "")
		for range 2 {
			wantClosed(t, <-errs, transport.CodeNormal, true)
		}
	})
}

func TestPipeContextEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transport.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := a.Read(ctx, nil)
		wantClosed(t, err, transport.CodeAbnormal, false)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v does not tell that the context ended", err)
		}
		_, err = b.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeAbnormal, true)
		if errors.Is(err, io.EOF) {
			t.Fatal("a broken connection must not look like an orderly end")
		}
	})
}

func TestPipeRefusesLargeMessages(t *testing.T) {
	a, b := transport.Pipe(transport.WithMaxMessage(4))
	mustWrite(t, a, "1234")
	mustWrite(t, a, "12345")
	mustRead(t, b)
	_, err := b.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeTooLarge, false)
	if !errors.Is(err, transport.ErrTooLarge) {
		t.Fatalf("%v does not match ErrTooLarge", err)
	}
	wantClosed(t, a.Write(t.Context(), nil), transport.CodeTooLarge, true)
}

func TestPipeCutLosesWhatWasUnderWay(t *testing.T) {
	a, b := transport.Pipe()
	mustWrite(t, a, "lost")
	a.Cut()
	for _, c := range []transport.Conn{a, b} {
		_, err := c.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeAbnormal, true)
	}
}

func TestPipeFaults(t *testing.T) {
	var held []byte
	faults := map[string]func(string) []string{
		"drop":    func(m string) []string { return nil },
		"double":  func(m string) []string { return []string{m, m} },
		"corrupt": func(m string) []string { return []string{m + "!"} },
		"reorder": func(m string) []string {
			if held == nil {
				held = []byte(m)
				return nil
			}
			return []string{m, string(held)}
		},
	}
	for name, want := range map[string][]string{
		"drop":    nil,
		"double":  {"1", "1", "2", "2"},
		"corrupt": {"1!", "2!"},
		"reorder": {"2", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			hop := func(msg []byte) (out [][]byte) {
				for _, m := range faults[name](string(msg)) {
					out = append(out, []byte(m))
				}
				return out
			}
			a, b := transport.Pipe(transport.WithFaults(hop, nil))
			mustWrite(t, b, "untouched")
			mustWrite(t, a, "1")
			mustWrite(t, a, "2")
			a.Close(transport.CodeNormal, "")
			var got []string
			for {
				m, err := b.Read(t.Context(), nil)
				if err != nil {
					break
				}
				got = append(got, string(m))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
}

func TestPipeManyWriters(t *testing.T) {
	a, b := transport.Pipe(transport.WithFaults(func(m []byte) [][]byte { return [][]byte{m} }, nil))
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 50 {
				mustWrite(t, a, "m")
			}
		})
	}
	for range 8 * 50 {
		mustRead(t, b)
	}
	writers.Wait()
}
