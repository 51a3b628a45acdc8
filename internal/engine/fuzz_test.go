package engine

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// A32: no bytes from outside make an entry panic, take a wrong turn or allocate out
// of proportion; what parses encodes to the same bytes again.

func FuzzA32ServerReceivesM1(f *testing.F) {
	fuzzHandshake(f, 1)
}

func FuzzA32ClientReceivesM2(f *testing.F) {
	fuzzHandshake(f, 2)
}

func FuzzA32ServerReceivesM3(f *testing.F) {
	fuzzHandshake(f, 3)
}

func FuzzA32ClientReceivesM4(f *testing.F) {
	fuzzHandshake(f, 4)
}

// A mutation is what a fuzzer does to a frame that it cannot make itself: the
// identities, and with them the frames, are others in every process.
func mutate(frame, raw []byte, at, size uint16, patch []byte) []byte {
	if len(raw) > 0 {
		return raw
	}
	frame = bytes.Clone(frame)
	for i, b := range patch {
		frame[(int(at)+i)%len(frame)] ^= b
	}
	return append(frame, make([]byte, size)...)[:(len(frame)+int(size))%(MaxHandshakeFrame+2)]
}

func addMutations(f *testing.F, frames ...[]byte) {
	f.Add([]byte{}, uint16(0), uint16(0), []byte{})
	f.Add([]byte{}, uint16(7), uint16(0), []byte{1})
	f.Add([]byte{}, uint16(0), uint16(1), []byte{})
	for _, frame := range frames {
		f.Add(frame, uint16(0), uint16(0), []byte{})
	}
}

// fuzzHandshake gives message n to an end that waits for it. Only the recorded
// message itself may be taken, or for m1, which anybody can make, another good one.
func fuzzHandshake(f *testing.F, n int) {
	tw := newTwin(f)
	addMutations(f, make([]byte, m1Size), make([]byte, m2HeadSize+minAuthSize), make([]byte, m4Size))
	f.Fuzz(func(t *testing.T, raw []byte, at, size uint16, patch []byte) {
		frame := mutate(tw.frames[n-1], raw, at, size, patch)
		kept := bytes.Clone(frame)
		e := tw.before(n)
		_, err := e.receive(frame)
		if same := bytes.Equal(kept, tw.frames[n-1]); same != (err == nil) && n != 1 {
			t.Errorf("the message that was sent: %v; answer: %v", same, err)
		}
		if err != nil && (err.Error() != ErrHandshake.Error() || e.h.state != dead) {
			t.Errorf("state %v after %v", e.h.state, err)
		}
		if !bytes.Equal(frame, kept) {
			t.Error("changed the frame")
		}
	})
}

func FuzzA32ParseAuth(f *testing.F) {
	a := auth{identity: alice.Public().Bytes(), speech: test1, signature: make([]byte, 64)}
	f.Add(appendAuth(nil, serverAuthFields, a), true)
	f.Add(appendAuth(nil, clientAuthFields, a), false)
	a.credentials, a.mark = []byte("a token"), make([]byte, 32)
	f.Add(appendAuth(nil, clientAuthFields, a), false)
	f.Add(appendPadded(nil, nil, nil), false)
	f.Fuzz(func(t *testing.T, plain []byte, fromServer bool) {
		fields := clientAuthFields
		if fromServer {
			fields = serverAuthFields
		}
		a, ok := parseAuth(plain, fields)
		if ok && !bytes.Equal(appendAuth(nil, fields, a), plain) {
			t.Error("a second encoding was accepted")
		}
	})
}

func FuzzA32ParsePadded(f *testing.F) {
	f.Add(appendPadded(nil, nil, []byte("hello")), byte(0))
	f.Add(appendPadded(nil, []byte{1, 2}, nil), byte(2))
	f.Add(appendPadded(nil, nil, make([]byte, 1000)), byte(0))
	f.Fuzz(func(t *testing.T, plain []byte, size byte) {
		fields, data, ok := parsePadded(plain, int(size%4))
		if ok && !bytes.Equal(appendPadded(nil, fields, data), plain) {
			t.Error("a second encoding was accepted")
		}
	})
}

func FuzzA32ParseVerdict(f *testing.F) {
	for code := range CodeUnavailable + 2 {
		f.Add(appendM4(nil, verdict{code: code}))
	}
	f.Add(appendM4(nil, verdict{hop: HopUnbroken, lifetime: time.Hour}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if v, ok := parseM4(plain); ok && !bytes.Equal(appendM4(nil, v), plain) {
			t.Error("a second encoding was accepted")
		}
	})
}

func FuzzA32OpenRecord(f *testing.F) {
	from, to := pair(f)
	good := seal(f, from, "hello")
	addMutations(f, make([]byte, recordOverhead+minBucket), []byte{typeClose})
	f.Fuzz(func(t *testing.T, raw []byte, at, size uint16, patch []byte) {
		frame := mutate(good, raw, at, size, patch)
		dst, event, err := clone(to).Open(epoch, []byte("x"), frame)
		if bytes.Equal(frame, good) != (err == nil) {
			t.Errorf("opened as %q, %v, %v", dst, event, err)
		}
		if err != nil && (string(dst) != "x" || err.Error() != ErrRecord.Error()) {
			t.Errorf("%q, %v", dst, err)
		}
	})
}

// FuzzA32RoundTrip seals whatever it is given and opens it again.
func FuzzA32RoundTrip(f *testing.F) {
	c, s := pair(f)
	f.Add([]byte{}, []byte("dst"))
	f.Add(make([]byte, 61), []byte{})
	f.Fuzz(func(t *testing.T, message, dst []byte) {
		frame, err := c.Seal(epoch, nil, nil, message)
		if err != nil {
			t.Fatal(err)
		}
		dst = slices.Clip(dst) // the fuzzer's slices lie one behind the other
		got, event, err := s.Open(epoch, dst, frame)
		if err != nil || event != Message || !bytes.Equal(got, append(bytes.Clone(dst), message...)) {
			t.Errorf("%v, %v", event, err)
		}
	})
}
