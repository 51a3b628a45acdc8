// Package conntest tests that an implementation of transport.Conn keeps the promises of
// package transport. Its author calls [Test] with a [Link] in a test of their own:
//
//	func TestConn(t *testing.T) {
//		conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) { … }})
//	}
package conntest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// MaxMessage is the message limit, in bytes, that Connect has to set at both ends.
const MaxMessage = 64 << 10

// A Link says how to make connections, and which tests to leave out.
type Link struct {
	// Connect returns the two ends of a new connection. The suite closes them.
	Connect func(t *testing.T) (a, b transport.Conn)

	// Unbounded says that writes never wait for a peer that does not read, however
	// much they write. It leaves out the tests of such waits.
	Unbounded bool

	// OneWay leaves out the tests with both ends swapped. Set it if both ends are of
	// the same kind.
	OneWay bool
}

// Test runs the suite, with a and b as Connect returns them and then swapped.
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

func testInfo(t *testing.T, a, b transport.Conn) {
	before := []transport.Info{a.Info(), b.Info()}
	endBoth(a, b)
	for i, after := range []transport.Info{a.Info(), b.Info()} {
		if after.Kind == "" || after.Kind != before[i].Kind || after.Local != before[i].Local || after.Remote != before[i].Remote {
			t.Errorf("%+v became %+v", before[i], after)
		}
	}
}
