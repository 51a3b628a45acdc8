package conntest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

func testTooLarge(t *testing.T, a, b transport.Conn) {
	heard := listen(a)
	pass(t, a, b, pattern(MaxMessage), nil)
	go a.Write(context.Background(), pattern(MaxMessage+1)) // it may fail, or not
	dst, err := b.Read(context.Background(), []byte("as it was"))
	if string(dst) != "as it was" {
		t.Errorf("dst became %.20q", dst)
	}
	wantEnd(t, b, err, transport.CodeTooLarge, false)
	if !errors.Is(err, transport.ErrTooLarge) {
		t.Errorf("%v does not match ErrTooLarge", err)
	}
	wantEnd(t, a, (<-heard).err, transport.CodeTooLarge, true)
}

func testLowerLimit(t *testing.T, a, b transport.Conn) {
	limit, ok := b.(interface{ SetMaxMessage(n int) })
	if !ok {
		t.Skip("this kind of connection has one limit")
	}
	heard := listen(a)
	limit.SetMaxMessage(10)
	pass(t, a, b, pattern(10), nil)
	limit.SetMaxMessage(2 * MaxMessage) // more than the connection's own limit: that still holds
	pass(t, a, b, pattern(MaxMessage), nil)
	limit.SetMaxMessage(10)
	go a.Write(context.Background(), pattern(11))
	_, err := b.Read(context.Background(), nil)
	wantEnd(t, b, err, transport.CodeTooLarge, false)
	wantEnd(t, a, (<-heard).err, transport.CodeTooLarge, true)
}

func testClose(t *testing.T, a, b transport.Conn) {
	heard := listen(b)
	if err := a.Close(4001, "réason"); err != nil {
		t.Errorf("Close: %v", err)
	}
	closed := wantEnd(t, b, (<-heard).err, 4001, true)
	if closed.Reason != "réason" || errors.Is(closed, io.EOF) {
		t.Errorf("the peer saw %v, which matches io.EOF: %v", closed, errors.Is(closed, io.EOF))
	}
	_, err := a.Read(context.Background(), nil)
	wantEnd(t, a, err, 4001, false)
	if errors.Is(err, io.EOF) {
		t.Error("our own close matches io.EOF")
	}
}

func testDelivered(t *testing.T, a, b transport.Conn) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range 10 {
			<-write(t, a, fmt.Append(nil, i))
		}
		a.Close(transport.CodeGoingAway, "")
	}()
	got := <-listen(b)
	if strings.Join(got.messages, "") != "0123456789" {
		t.Errorf("got %q", got.messages)
	}
	wantEnd(t, b, got.err, transport.CodeGoingAway, true)
	if !errors.Is(got.err, io.EOF) {
		t.Errorf("%v is no io.EOF", got.err)
	}
	<-over
}

func testCodes(t *testing.T, a, b transport.Conn) {
	heard := listen(b)
	a.Close(transport.CodeAbnormal, strings.Repeat("é", 100))
	closed := wantEnd(t, b, (<-heard).err, transport.CodeInternal, true)
	if closed.Reason != strings.Repeat("é", 61) {
		t.Errorf("reason %q", closed.Reason)
	}
}

func testCloseUnblocks(t *testing.T, a, b transport.Conn) {
	here, there := listen(a), listen(b)
	if err := a.Close(transport.CodeNormal, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantEnd(t, a, (<-here).err, transport.CodeNormal, false)
	wantEnd(t, b, (<-there).err, transport.CodeNormal, true)
}

func testManyCloses(t *testing.T, a, b transport.Conn) {
	there := listen(b)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() { a.Close(transport.CodeGoingAway, "") })
	}
	work.Wait()
	wantEnd(t, b, (<-there).err, transport.CodeGoingAway, true)
}

func testBothClose(t *testing.T, a, b transport.Conn) {
	start := time.Now()
	endBoth(a, b)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("both closes took %v", took)
	}
	for _, c := range []transport.Conn{a, b} {
		_, err := c.Read(context.Background(), nil)
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodeNormal {
			t.Errorf("ended with %v", err)
		}
	}
}

// fill writes until a Write has to wait for the peer and fails, and returns its error. It
// returns nil after 64 MiB.
func fill(ctx context.Context, c transport.Conn) error {
	msg := make([]byte, MaxMessage)
	for range 64 << 20 / MaxMessage {
		if err := c.Write(ctx, msg); err != nil {
			return err
		}
	}
	return nil
}

func testWriteWaits(t *testing.T, a, b transport.Conn) {
	const n = 16 << 20 / MaxMessage
	large := bytes.Repeat([]byte{1}, MaxMessage)
	var all [][]byte
	for range n {
		all = append(all, large)
	}
	written := write(t, a, all...)
	for i := range n {
		if got := read(t, b); len(got) != MaxMessage {
			t.Fatalf("message %d has %d bytes", i, len(got))
		}
	}
	<-written
}

func testCloseUnblocksWrite(t *testing.T, a, b transport.Conn) {
	written, full := make(chan error, 1), make(chan struct{})
	go func() {
		msg := make([]byte, MaxMessage)
		var err error
		for i := 0; err == nil; i++ {
			if i == 0 {
				close(full)
			}
			err = a.Write(context.Background(), msg)
		}
		written <- err
	}()
	<-full
	start := time.Now()
	a.Close(transport.CodeNormal, "") // nobody confirms it
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
	wantEnd(t, a, <-written, transport.CodeNormal, false)
}
