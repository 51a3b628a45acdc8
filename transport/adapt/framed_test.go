package adapt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
)

// raw returns a Conn over a pipe, and a function that sends bytes to it and hangs up.
func raw(opts *adapt.Options, sent []byte) transport.Conn {
	x, y := net.Pipe()
	go io.Copy(io.Discard, y)
	go func() {
		y.Write(sent)
		y.Close()
	}()
	return adapt.FromNetConn(x, opts)
}

func TestWhatAStreamMaySend(t *testing.T) {
	lost := transport.CloseError{Code: transport.CodeAbnormal, Remote: true}
	for name, c := range map[string]struct {
		sent  string
		plain bool
		want  transport.CloseError
	}{
		"nothing":               {"", false, lost},
		"nothing, plain":        {"", true, transport.CloseError{Code: transport.CodeNoStatus, Remote: true}},
		"half a length":         {"\x00\x00", false, lost},
		"half a length, plain":  {"\x00\x00", true, lost},
		"a length only":         {"\x00\x00\x00\x05", false, lost},
		"half a message":        {"\x00\x00\x00\x05he", false, lost},
		"half a message, plain": {"\x00\x00\x00\x05he", true, lost},
		"a length of a gigabyte": {"\x40\x00\x00\x00" + string(make([]byte, 5000)), false,
			transport.CloseError{Code: transport.CodeTooLarge}},
		"a close message":           {"\x80\x00\x00\x02\x03\xe9", false, transport.CloseError{Code: transport.CodeGoingAway, Remote: true}},
		"one with a reason":         {"\x80\x00\x00\x04\x03\xe9hi", false, transport.CloseError{Code: transport.CodeGoingAway, Reason: "hi", Remote: true}},
		"one without a code":        {"\x80\x00\x00\x00", false, transport.CloseError{Code: transport.CodeNoStatus, Remote: true}},
		"half of one":               {"\x80\x00\x00\x02\x03", false, lost},
		"one of a byte":             {"\x80\x00\x00\x01\x03", false, transport.CloseError{Code: transport.CodeProtocol}},
		"one of a reserved code":    {"\x80\x00\x00\x02\x03\xee", false, transport.CloseError{Code: transport.CodeProtocol}},
		"one that is no UTF-8":      {"\x80\x00\x00\x03\x03\xe9\xff", false, transport.CloseError{Code: transport.CodeProtocol}},
		"one that is too long":      {"\x80\x00\x00\x7e" + string(make([]byte, 126)), false, transport.CloseError{Code: transport.CodeProtocol}},
		"one that is far too long":  {"\xff\xff\xff\xff", false, transport.CloseError{Code: transport.CodeProtocol}},
		"one to a plain connection": {"\x80\x00\x00\x02\x03\xe9", true, transport.CloseError{Code: transport.CodeTooLarge}},
	} {
		t.Run(name, func(t *testing.T) {
			conn := raw(&adapt.Options{Plain: c.plain}, []byte("\x00\x00\x00\x02ok"+c.sent))
			if got, err := conn.Read(context.Background(), nil); err != nil || string(got) != "ok" {
				t.Fatalf("%q, %v", got, err)
			}
			dst, err := conn.Read(context.Background(), []byte("kept"))
			var closed *transport.CloseError
			if !errors.As(err, &closed) || closed.Code != c.want.Code || closed.Remote != c.want.Remote || closed.Reason != c.want.Reason {
				t.Fatalf("%v, want %v", err, &c.want)
			}
			if string(dst) != "kept" {
				t.Errorf("dst became %q", dst)
			}
		})
	}
}

// A28: a length alone causes no large allocation.
func TestA28LengthsAreNotBelieved(t *testing.T) {
	const limit = 256 << 20
	prefix := binary.BigEndian.AppendUint32(nil, limit)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	conn := raw(&adapt.Options{MaxMessage: limit}, append(prefix, "a little"...))
	if _, err := conn.Read(context.Background(), nil); err == nil {
		t.Fatal("half a message is taken for one")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated for 12", used)
	}
}

func FuzzFromNetConn(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ok\x00\x00\x00\x00\x80\x00\x00\x04\x03\xe9hi"), false)
	f.Add([]byte("\x00\x00\x00\x02ok"), true)
	f.Fuzz(func(t *testing.T, sent []byte, plain bool) {
		conn := raw(&adapt.Options{MaxMessage: 1000, Plain: plain}, sent)
		var again []byte
		for {
			msg, err := conn.Read(context.Background(), nil)
			if err != nil {
				break
			}
			again = append(binary.BigEndian.AppendUint32(again, uint32(len(msg))), msg...)
		}
		if !bytes.HasPrefix(sent, again) {
			t.Errorf("%x became %x", sent, again)
		}
	})
}

// A Read returns nothing that comes after our Close, even if it was waiting. Close succeeds
// only if the peer's close message comes.
func TestAMessageAfterOurCloseIsNotDelivered(t *testing.T) {
	x, y := net.Pipe()
	defer y.Close()
	conn := adapt.FromNetConn(x, nil)
	read, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		msg, err := conn.Read(context.Background(), nil)
		if err == nil {
			t.Errorf("a message was delivered after the close: %q", msg)
		}
		read <- err
	}()
	io.WriteString(y, "\x00\x00\x00\x02l") // which only that Read takes
	go func() { closed <- conn.Close(transport.CodeGoingAway, "") }()
	said := make([]byte, 6)
	if _, err := io.ReadFull(y, said); err != nil || string(said) != "\x80\x00\x00\x02\x03\xe9" {
		t.Fatalf("%x, %v", said, err)
	}
	io.WriteString(y, "e\x00\x00\x00\x04late")
	select {
	case err := <-closed:
		t.Errorf("Close did not wait for the peer: %v", err)
	default:
	}
	io.WriteString(y, "\x80\x00\x00\x02\x03\xe9")
	var end *transport.CloseError
	if err := <-read; !errors.As(err, &end) || end.Code != transport.CodeGoingAway || end.Remote {
		t.Errorf("Read: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestClosePeersThatDoNotConfirm(t *testing.T) {
	for name, peer := range map[string]func(net.Conn){
		"takes nothing": func(net.Conn) {},
		"says nothing":  func(c net.Conn) { io.Copy(io.Discard, c) },
		"hangs up":      func(c net.Conn) { c.Close() },
		"babbles": func(c net.Conn) {
			go io.Copy(io.Discard, c)
			for {
				if _, err := io.WriteString(c, "\x00\x00\x00\x01."); err != nil {
					return
				}
				time.Sleep(time.Millisecond) // of the bubble
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := net.Pipe()
				over := make(chan struct{})
				go func() {
					defer close(over)
					peer(y)
				}()
				start := time.Now()
				if err := adapt.FromNetConn(x, nil).Close(transport.CodeNormal, ""); err == nil {
					t.Error("Close says that the peer confirmed")
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("Close took %v", took)
				}
				y.Close()
				<-over
			})
		})
	}
}
