package netconn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/transport"
)

func TestA15StreamsEndOnlyWhereTheOtherEndSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(near *netconn.Conn, below *transport.PipeConn)
		want error
	}{
		"Close":       {func(near *netconn.Conn, _ *transport.PipeConn) { near.Close() }, io.EOF},
		"CloseWrite":  {func(near *netconn.Conn, _ *transport.PipeConn) { near.CloseWrite() }, io.EOF},
		"a cut":       {func(_ *netconn.Conn, below *transport.PipeConn) { below.Cut() }, e2e.ErrTruncated},
		"a hop's end": {func(_ *netconn.Conn, below *transport.PipeConn) { below.Close(transport.CodeNormal, "") }, e2e.ErrTruncated},
		"our own":     {nil, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := transport.Pipe()
			near, far := connect(t, a, b)
			mustWriteTo(t, near, "before")
			if err := near.Session().Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustReadFrom(t, far, "before")
			if c.end == nil {
				far.Close()
			} else {
				c.end(near, a)
			}
			for range 2 {
				n, err := far.Read(make([]byte, 10))
				if n != 0 || !errors.Is(err, c.want) || (err == io.EOF) != (c.want == io.EOF) {
					t.Errorf("Read: %d, %v, want %v", n, err, c.want)
				}
			}
		})
	}
}

// What Close could not send any more is missed: the other end does not take what came
// before for all.
func TestA15CloseBeforeAllIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := streams(t)
		for err := error(nil); err == nil; { // and the last message waits
			near.SetWriteDeadline(time.Now().Add(time.Second))
			_, err = near.Write(randomBytes(1, 32<<10-192))
		}
		if err := near.Close(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if n, err := io.Copy(io.Discard, far); err == nil {
			t.Errorf("%d bytes read as all", n)
		}
	})
}

// A Write that Close interrupts is not a whole one, even if the rest could be sent.
func TestA15CloseWithinAWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := streams(t)
		go near.Write(make([]byte, 10<<20))
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- near.Close() }()
		synctest.Wait()
		if n, err := io.Copy(io.Discard, far); err == nil {
			t.Errorf("%d bytes read as all", n)
		}
		<-closed
	})
}

func TestCloseWriteLeavesTheOtherDirectionOpen(t *testing.T) {
	near, far := streams(t)
	mustWriteTo(t, near, "question")
	for range 2 {
		if err := near.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := near.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("Write behind CloseWrite: %d, %v", n, err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	mustWriteTo(t, far, "answer")
	if err := far.Close(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(near); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	if err := near.Close(); err != nil {
		t.Error(err)
	}
	if err := near.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseWrite behind Close: %v", err)
	}
}

// Deadlines that pass cost neither a byte nor the session.
func TestStreamsKeepBytesThroughTimeouts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := transport.Pipe(transport.WithFaults(slow(3), slow(2)), transport.WithMaxMessage(2<<20))
		near, far := connect(t, a, b)
		sent := randomBytes(1, 3<<20)
		late := 0
		go func() {
			for rest := sent; len(rest) > 0; {
				near.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
				n, err := near.Write(rest[:min(len(rest), 100_000)])
				rest = rest[n:]
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write: %v", err)
					break
				}
			}
			if err := near.SetWriteDeadline(time.Time{}); err != nil {
				t.Error(err)
			}
			if err := near.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		var got []byte
		for buf := make([]byte, 5000); ; {
			far.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, err := far.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Read: %v", err)
			}
			if err != nil {
				late++
				time.Sleep(time.Millisecond)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came, or others", len(got), len(sent))
		}
		if late == 0 {
			t.Error("no Read was late")
		}
	})
}

// slow is a hop that takes its time with every nth message.
func slow(n int) transport.Fault {
	i := 0
	return func(msg []byte) [][]byte {
		if i++; i > 8 && i%n == 0 {
			time.Sleep(4 * time.Millisecond)
		}
		return [][]byte{msg}
	}
}

func TestDeadlinesOfStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := streams(t)
		near.SetDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		var timeout net.Error
		if _, err := near.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) != time.Minute {
			t.Errorf("Read: %v, after %v", err, time.Since(began))
		}
		time.Sleep(time.Nanosecond) // the two deadlines have a timer each
		if _, err := near.Write([]byte("x")); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("Write: %v", err)
		}
		near.SetDeadline(time.Time{})
		mustWriteTo(t, near, "y")
		mustReadFrom(t, far, "y")
		time.AfterFunc(time.Hour, func() { far.SetReadDeadline(time.Now()) })
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v", err)
		}
	})
}

// A peer that takes nothing stops Write by its deadline, and Close by its own.
func TestStreamsToAPeerThatTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := 0
		near, _ := streams(t, transport.WithFaults(func(msg []byte) [][]byte {
			if sent++; sent > 2 { // m1, m3
				return nil
			}
			return [][]byte{msg}
		}, nil))
		near.SetWriteDeadline(time.Now().Add(10 * time.Second))
		n, err := near.Write(make([]byte, 4<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n > 1<<20 {
			t.Errorf("Write: %d, %v", n, err)
		}
		began := time.Now()
		if err := near.Close(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestAddressesOfStreams(t *testing.T) {
	near, _ := streams(t)
	if got := near.LocalAddr().Network() + near.RemoteAddr().Network(); got != "pipepipe" {
		t.Errorf("networks %q", got)
	}
	if near.LocalAddr().String() != "" || near.RemoteAddr().String() != "" {
		t.Errorf("%v, %v", near.LocalAddr(), near.RemoteAddr())
	}
	if got := near.Session().Peer().Name(); got != "bob" {
		t.Errorf("peer %q", got)
	}
}

func newListener(t testing.TB, cfg e2e.ServerConfig) *netconn.Listener {
	t.Helper()
	l, err := netconn.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Shutdown(context.Background()) })
	return l
}

func TestListener(t *testing.T) {
	if _, err := netconn.Listen(e2e.ServerConfig{}); err == nil {
		t.Error("a Config without anything is taken")
	}
	l := newListener(t, hosting())
	join := func() (*e2e.Session, <-chan error) {
		a, b := transport.Pipe()
		done := make(chan error, 1)
		go func() { done <- l.ServeConn(context.Background(), b) }()
		s, err := e2e.Connect(t.Context(), a, "pipe", dialing())
		if err != nil {
			t.Fatal(err)
		}
		return s, done
	}
	one, done := join()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accept := make(chan error)
	go func() { _, err := l.Accept(); accept <- err }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accept; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept behind Close: %v", err)
	}
	late, ended := join()
	var closed *e2e.CloseError
	if _, err := late.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != e2e.CodeGoingAway || !closed.Remote {
		t.Errorf("a session behind Close: %v", err)
	}
	<-ended

	near := netconn.New(one) // goes on
	mustWriteTo(t, near, "still here")
	mustReadFrom(t, c, "still here")
	if err := near.Close(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(c); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Errorf("ServeConn: %v", err)
	}
	if got := fmt.Sprint(l.Addr().Network(), " ", l.Addr()); got != "hopseal sessions" {
		t.Errorf("address %q", got)
	}
}

// A15: a Write that a Close meets is whole, or the other end does not take what came of it for
// all, whatever the moment.
func TestA15CloseMeetsAWrite(t *testing.T) {
	moments := 300
	if slowtest.Mode {
		moments = 60
	}
	for moment := range moments {
		bubble(t, func(t *testing.T) {
			near, far := streams(t)
			const size = 3 * (32<<10 - 192)
			var all sync.WaitGroup
			var written int
			var closed error
			all.Go(func() { written, _ = near.Write(make([]byte, size)) })
			all.Go(func() {
				for range moment % 50 {
					runtime.Gosched()
				}
				closed = near.Close()
			})
			got, err := io.Copy(io.Discard, far)
			all.Wait()
			if err == nil && got > 0 && got < size {
				t.Fatalf("%d bytes of %d read as all; Write returned %d, Close %v", got, size, written, closed)
			}
		})
	}
}
