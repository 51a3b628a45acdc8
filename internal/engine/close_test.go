package engine

import (
	"errors"
	"testing"
)

// A52: "done" cannot be said while a message that has a number was not sealed to its end
// on this very link, in whatever state of sending the link is.
func TestA52DoneWaitsUntilAllIsSealed(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, a, b *Link) *Link{
		"in the middle of a message": func(t *testing.T, a, _ *Link) *Link {
			must(a.Seal(epoch, nil, nil, mixed(3*pieceSize)))
			return a
		},
		"before what is sent again": func(t *testing.T, a, b *Link) *Link {
			seal(t, a, "lost")
			return resumed(t, a, b)
		},
		"before what is queued": func(t *testing.T, a, _ *Link) *Link {
			if err := a.session.Queue(epoch, nil, []byte("waits")); err != nil {
				t.Fatal(err)
			}
			return a
		},
		"on a link that counts no more": func(t *testing.T, a, b *Link) *Link {
			resumed(t, a, b)
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := bounded(t)
			l := leave(t, a, b)
			if frame, err := l.SealClose(epoch, nil, CloseDone); !errors.Is(err, ErrUnfinished) || frame != nil {
				t.Fatalf("%x, %v", frame, err)
			}
			for l.session.link == l {
				frame := must(l.Next(epoch, nil))
				if len(frame) == 0 {
					break
				}
			}
			if _, err := l.SealClose(epoch, nil, CloseDone); l.session.link == l && err != nil {
				t.Errorf("with all sealed: %v", err)
			}
		})
	}
}

// resumed gives the sessions of a and b another link and returns that of a.
func resumed(t *testing.T, a, b *Link) *Link {
	t.Helper()
	x, y := reviverOf(t, a.session), reviverOf(t, b.session)
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	return x.Link()
}

// A52: a close is held against what has arrived. One that says "done" and leaves anything
// out fails, and so does one that takes back what has arrived.
func TestA52CloseFitsWhatHasArrived(t *testing.T) {
	for name, test := range map[string]struct {
		code   CloseCode
		last   uint64 // of the two messages that have arrived, or more
		within bool   // a third message
		fails  bool
	}{
		"done with all":                {CloseDone, 2, false, false},
		"done with one more":           {CloseDone, 3, false, true},
		"done with one less":           {CloseDone, 1, false, true},
		"done within a message":        {CloseDone, 3, true, true},
		"done before that message":     {CloseDone, 2, true, true},
		"failed with all":              {2, 2, false, false},
		"failed with more":             {2, 9, false, false},
		"failed within a message":      {2, 3, true, false},
		"failed, taking one back":      {2, 1, false, true},
		"failed, beyond every session": {2, maxCost + 1, false, true},
		"a code that nobody knows":     {77, 5, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := bounded(t)
			mustOpen(t, b, seal(t, a, "one"))
			mustOpen(t, b, seal(t, a, "two"))
			if test.within {
				if _, event, err := b.Open(epoch, nil, must(a.Seal(epoch, nil, nil, mixed(3*pieceSize)))); event != Part || err != nil {
					t.Fatal(event, err)
				}
			}
			frame := must(a.send.sealFields(epoch, nil, typeClose, appendClose(nil, test.code, test.last)))
			if test.fails {
				mustRefuse(t, b, frame, ReasonClose)
				return
			}
			openAs(t, b, frame, PeerClose)
			if b.PeerCode() != test.code || b.PeerMissing() != test.last-2 {
				t.Errorf("code %d, %d missing", b.PeerCode(), b.PeerMissing())
			}
		})
	}
}

// Behind Finish nothing gets a number, and what has one can be sent to its end.
func TestFinishEndsNumbering(t *testing.T) {
	a, b := bounded(t)
	long := must(a.Seal(epoch, nil, nil, mixed(pieceSize+1)))
	if last := a.session.Finish(); last != 1 {
		t.Errorf("the last message is %d", last)
	}
	if err := a.session.Queue(epoch, nil, nil); err != ErrFinished {
		t.Errorf("queued: %v", err)
	}
	got, _, err := b.Open(epoch, nil, long)
	if err != nil {
		t.Fatal(err)
	}
	if _, event, err := b.Open(epoch, got, must(a.Next(epoch, nil))); event != Message || err != nil {
		t.Fatal(event, err)
	}
	if _, err := a.Seal(epoch, nil, nil, nil); err != ErrFinished {
		t.Errorf("sealed: %v", err)
	}
	openAs(t, b, must(a.SealClose(epoch, nil, CloseDone)), PeerClose)
}
