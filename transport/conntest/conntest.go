// Package conntest checks that a transport.Conn keeps the promises that
// package transport makes. It is for the tests of those who write one.
//
//	func TestConn(t *testing.T) {
//		conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) { … }})
//	}
package conntest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// MaxMessage is the limit, in bytes, that both ends have to be made with.
const MaxMessage = 64 << 10

// A Link says how to make connections, and what they cannot do.
type Link struct {
	// Connect returns the two ends of a new connection. The suite closes them.
	Connect func(t *testing.T) (a, b transport.Conn)

	// Unbounded says that writes do not wait for a peer that does not read, within
	// any measure. It leaves out the tests of that.
	Unbounded bool

	// OneWay leaves out the tests in the direction from b to a, where both ends
	// are of one kind.
	OneWay bool
}

// Test runs the suite, in both directions.
func Test(t *testing.T, link Link) {
	for _, test := range []struct {
		name    string
		run     func(t *testing.T, a, b transport.Conn)
		bounded bool
	}{
		{"messages of every size pass whole", testSizes, false},
		{"reading appends to the caller's buffer", testAppend, false},
		{"writing leaves the message to the caller", testReuse, false},
		{"messages stay in order", testOrder, false},
		{"many may write at once", testWriters, false},
		{"both directions at once", testBoth, false},
		{"messages above the limit end it", testTooLarge, false},
		{"a lower limit holds for a while", testLowerLimit, false},
		{"a close tells the peer", testClose, false},
		{"what came before the close is delivered", testDelivered, false},
		{"codes that cannot be sent", testCodes, false},
		{"close unblocks a read", testCloseUnblocks, false},
		{"many may close at once", testManyCloses, false},
		{"both may close at once", testBothClose, false},
		{"a context ends it while it reads", testContextRead, false},
		{"a context that had ended", testContextOver, false},
		{"a context that ends later is of no concern", testContextLater, false},
		{"what the link is", testInfo, false},
		{"writing waits for the peer", testWriteWaits, true},
		{"a context ends it while it writes", testContextWrite, true},
		{"close unblocks a write", testCloseUnblocksWrite, true},
	} {
		if test.bounded && link.Unbounded {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			for _, swapped := range []bool{false, true} {
				if swapped && link.OneWay {
					continue
				}
				a, b := link.Connect(t)
				if swapped {
					a, b = b, a
				}
				test.run(t, a, b)
				endBoth(a, b)
			}
		})
	}
}

// endBoth closes both ends at once, so that each hears the other.
func endBoth(a, b transport.Conn) {
	var both sync.WaitGroup
	for _, c := range []transport.Conn{a, b} {
		both.Go(func() { c.Close(transport.CodeNormal, "") })
	}
	both.Wait()
}

// write sends messages while somebody reads. A link need not have room for any.
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

// pass sends one message and returns what comes.
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

// An outcome is all that one end received, and why it ended.
type outcome struct {
	messages []string
	err      error
}

// listen reads until the end.
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

// wantEnd checks why a connection ended, and that it stays so.
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

func testSizes(t *testing.T, a, b transport.Conn) {
	for _, size := range []int{0, 1, 125, 126, 127, 4095, 4096, 4097, 32767, 32768, 65535, MaxMessage, 0, 3} {
		if got := pass(t, a, b, pattern(size), nil); !bytes.Equal(got, pattern(size)) {
			t.Fatalf("%d bytes came as %d", size, len(got))
		}
	}
}

func testAppend(t *testing.T, a, b transport.Conn) {
	const room = 1000
	dst := make([]byte, 5, 5+room)
	copy(dst, "head ")
	for _, size := range []int{0, 7, room - 1, room, room + 1} {
		got := pass(t, a, b, pattern(size), dst)
		if !bytes.Equal(got[5:], pattern(size)) || string(got[:5]) != "head " {
			t.Fatalf("%d bytes: %.20q and %d bytes", size, got, len(got)-5)
		}
		if size <= room && &got[0] != &dst[0] {
			t.Errorf("a buffer with room for %d bytes was replaced for %d", room, size)
		}
	}
}

func testReuse(t *testing.T, a, b transport.Conn) {
	msg, got := []byte("original"), listen(b)
	<-write(t, a, msg)
	if string(msg) != "original" {
		t.Fatalf("Write changed the message to %q", msg)
	}
	copy(msg, "replaced")
	a.Close(transport.CodeNormal, "")
	if got := (<-got).messages; len(got) != 1 || got[0] != "original" {
		t.Fatalf("got %q", got)
	}
}

func testOrder(t *testing.T, a, b transport.Conn) {
	const n = 500
	heard := listen(b)
	for i := range n {
		<-write(t, a, fmt.Append(nil, i))
	}
	a.Close(transport.CodeNormal, "")
	got := <-heard
	if len(got.messages) != n {
		t.Fatalf("%d messages of %d, %v", len(got.messages), n, got.err)
	}
	for i, m := range got.messages {
		if m != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
}

func testWriters(t *testing.T, a, b transport.Conn) {
	const writers, each = 8, 50
	heard := listen(b)
	var work sync.WaitGroup
	for i := range writers {
		work.Go(func() {
			for j := range each {
				msg := bytes.Repeat(fmt.Append(nil, i, " ", j, "."), 1+j*10)
				if err := a.Write(context.Background(), msg); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	work.Wait()
	a.Close(transport.CodeNormal, "")
	seen := map[string]int{}
	for _, m := range (<-heard).messages {
		one, _, _ := strings.Cut(m, ".")
		if strings.ReplaceAll(m, one+".", "") != "" {
			t.Errorf("messages were mixed: %.60q", m)
		}
		seen[one]++
	}
	for one, n := range seen {
		if n != 1 {
			t.Errorf("message %s came %d times", one, n)
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d messages came, want %d", len(seen), writers*each)
	}
}

func testBoth(t *testing.T, a, b transport.Conn) {
	const n = 100
	var work sync.WaitGroup
	for _, c := range []transport.Conn{a, b} {
		work.Go(func() {
			for i := range n {
				if err := c.Write(context.Background(), pattern(i*100)); err != nil {
					t.Errorf("Write: %v", err)
					return
				}
			}
		})
		work.Go(func() {
			for i := range n {
				msg, err := c.Read(context.Background(), nil)
				if err != nil || !bytes.Equal(msg, pattern(i*100)) {
					t.Errorf("message %d: %d bytes, %v", i, len(msg), err)
					return
				}
			}
		})
	}
	work.Wait()
}

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
	limit.SetMaxMessage(2 * MaxMessage) // more than its own is its own
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

func testContextRead(t *testing.T, a, b transport.Conn) {
	there := listen(b)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	dst, err := a.Read(ctx, []byte("kept"))
	if string(dst) != "kept" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q, %v", dst, err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	got := <-there
	wantEnd(t, b, got.err, transport.CodeAbnormal, true)
	if errors.Is(got.err, io.EOF) {
		t.Errorf("%v looks like an orderly end", got.err)
	}
}

func testContextOver(t *testing.T, a, b transport.Conn) {
	there := listen(b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := a.Read(ctx, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	wantEnd(t, b, (<-there).err, transport.CodeAbnormal, true)
}

func testContextLater(t *testing.T, a, b transport.Conn) {
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		written := make(chan error, 1)
		go func() { written <- a.Write(ctx, []byte("message")) }()
		if _, err := b.Read(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	pass(t, a, b, []byte("still here"), nil)
}

func testInfo(t *testing.T, a, b transport.Conn) {
	before := []transport.Info{a.Info(), b.Info()}
	endBoth(a, b)
	for i, after := range []transport.Info{a.Info(), b.Info()} {
		if after.Kind == "" || after.Kind != before[i].Kind || after.Local != before[i].Local || after.Remote != before[i].Remote {
			t.Errorf("%+v became %+v", before[i], after)
		}
	}
}

// fill writes until the peer has no room any more, and returns how the Write ended
// that had to wait.
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

func testContextWrite(t *testing.T, a, b transport.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := fill(ctx, a)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("64 MiB went to a peer that does not read, or: %v", err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	wantEnd(t, b, (<-listen(b)).err, transport.CodeAbnormal, true)
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
