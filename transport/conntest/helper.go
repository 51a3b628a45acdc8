package conntest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// endBoth closes both ends at the same time, so that each confirms the other's close.
func endBoth(a, b transport.Conn) {
	var both sync.WaitGroup
	for _, c := range []transport.Conn{a, b} {
		both.Go(func() { c.Close(transport.CodeNormal, "") })
	}
	both.Wait()
}

// write sends messages in a goroutine, because a link may have no room for any until
// somebody reads. The channel is closed when all are sent or one failed.
func write(t *testing.T, c transport.Conn, msgs ...[]byte) (done <-chan struct{}) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, msg := range msgs {
			if err := c.Write(context.Background(), msg); err != nil {
				t.Errorf("Write: %v", err)
				return
			}
		}
	}()
	return over
}

func read(t *testing.T, c transport.Conn) []byte {
	t.Helper()
	msg, err := c.Read(context.Background(), nil)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return msg
}

// pass sends one message from a, and returns what b reads into dst.
func pass(t *testing.T, a, b transport.Conn, msg, dst []byte) []byte {
	t.Helper()
	written := write(t, a, msg)
	got, err := b.Read(context.Background(), dst)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	<-written
	return got
}

// An outcome is all messages that one end received, and the error that ended it.
type outcome struct {
	messages []string
	err      error
}

// listen reads until the connection ends.
func listen(c transport.Conn) <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		var o outcome
		for o.err == nil {
			var msg []byte
			if msg, o.err = c.Read(context.Background(), nil); o.err == nil {
				o.messages = append(o.messages, string(msg))
			}
		}
		result <- o
	}()
	return result
}

// wantEnd checks why a connection ended, and that later calls return the same error.
func wantEnd(t *testing.T, c transport.Conn, err error, code transport.Code, remote bool) *transport.CloseError {
	t.Helper()
	var closed *transport.CloseError
	if !errors.As(err, &closed) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("ended with %v (%T), which is no CloseError", err, err)
	}
	if closed.Code != code || closed.Remote != remote {
		t.Fatalf("%v: code %d, remote %v; want %d, %v", err, closed.Code, closed.Remote, code, remote)
	}
	dst, again := c.Read(context.Background(), []byte("as it was"))
	if again == nil || again.Error() != err.Error() || string(dst) != "as it was" {
		t.Errorf("a later Read: %q, %v, not %v", dst, again, err)
	}
	if again := c.Write(context.Background(), []byte("late")); again == nil || again.Error() != err.Error() {
		t.Errorf("a later Write: %v, not %v", again, err)
	}
	if err := c.Close(transport.CodeInternal, "late"); err != nil {
		t.Errorf("a later Close: %v", err)
	}
	return closed
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + size)
	}
	return b
}
