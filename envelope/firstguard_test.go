package envelope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// The first guard of new keys opens nothing that is sealed to other keys, which may
// be old: no replay gets in by an identity that was made a moment ago.
func TestFirstGuardIsOfItsKeysAlone(t *testing.T) {
	all := links(t)
	shared, recipients := all[0], all[2]
	another := links(t)
	openers := map[string]struct {
		link  link
		guard *ReplayGuard
		opens bool
	}{
		"an identity's, its own messages":           {recipients, FirstReplayGuard(recipients.Opener.Identity), true},
		"an identity's, another identity":           {another[2], FirstReplayGuard(identity(t, "new")), false},
		"an identity's, under a keyset with it":     {another[1], FirstReplayGuard(another[1].Opener.Identity), false},
		"an identity's, under a keyset":             {shared, FirstReplayGuard(identity(t, "new")), false},
		"a keyset's, its own messages":              {shared, FirstReplayGuard(shared.Opener.Shared), true},
		"a keyset's, another one":                   {another[0], FirstReplayGuard(sharedKeyset(t)), false},
		"a keyset's, messages to an identity":       {another[2], FirstReplayGuard(sharedKeyset(t)), false},
		"a keyset's, under it with an old identity": {another[1], FirstReplayGuard(another[1].Opener.Shared), true},
	}
	for name, c := range openers {
		kept := made(ParseReplayGuard(c.guard.Bytes()))
		sealed, stream := seal(t, &c.link.Sealer, "m"), sealStream(t, &c.link.Sealer, []byte("m"))
		l := guarded(c.link, c.guard, 0)
		_, _, opened := l.Open(nil, sealed)
		_, read := l.NewReader(bytes.NewReader(stream))
		for _, err := range []error{opened, read} {
			if c.opens && err != nil || !c.opens && err != errOtherKeys {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.opens {
			sealed = seal(t, &c.link.Sealer, "m")
		}
		if l.Replay = kept; name != "a keyset's, another one" { // a keyset has no name that lasts
			_, _, afterwards := l.Open(nil, seal(t, &c.link.Sealer, "m"))
			if c.opens && afterwards != nil || !c.opens && afterwards != errOtherKeys {
				t.Errorf("%s, kept: %v", name, afterwards)
			}
		}
		l.Replay = cacheFunc(c.guard.Claim) // a wrapper, which tells the guard nothing itself
		_, _, wrapped := l.Open(nil, sealed)
		if c.opens && wrapped != nil || !c.opens && !errors.Is(wrapped, errOtherKeys) {
			t.Errorf("%s, in a wrapper: %v", name, wrapped)
		}
	}
}

// The same keys, read again, may go on with their guard.
func TestFirstGuardOfKeysThatWereReadAgain(t *testing.T) {
	all := links(t)
	signed, recipients := all[1], all[2]
	guards := []*ReplayGuard{FirstReplayGuard(signed.Opener.Shared), FirstReplayGuard(recipients.Opener.Identity)}
	signed.Opener.Shared = made(keys.ParseCleartextSharedKeyset(made(signed.Opener.Shared.MarshalCleartext(insecurecleartext.Token{})), insecurecleartext.Token{}))
	recipients.Opener.Identity = made(keys.ParseCleartextIdentity(made(recipients.Opener.Identity.MarshalCleartext(insecurecleartext.Token{})), insecurecleartext.Token{}))
	for i, l := range []link{signed, recipients} {
		l = guarded(l, guards[i], 0)
		sealed := seal(t, &l.Sealer, "m")
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Errorf("%s: %v %v", l.name, err, ReasonOf(err))
		}
		expectReason(t, &l.Opener, sealed, ReasonReplay, "again")
	}
}

// Somebody on the way cuts a stream short, or changes it behind its head, and sends
// that copy first. What is verified before it is used opens once all the same, and
// once only.
func TestBrokenCopyOfAStreamUsesUpNothing(t *testing.T) {
	for _, l := range links(t) {
		caches := map[string]ReplayCache{"in memory": anyTime(), "shared": new(sharedCache)}
		for name, cache := range caches {
			l := guarded(l, cache, 0)
			stream := sealStream(t, &l.Sealer, make([]byte, 3*segmentData))
			open := func(src io.ReaderAt) error {
				_, err := l.NewReaderAt(src, int64(len(stream)))
				return err
			}
			changed := bytes.Clone(stream)
			changed[len(changed)-1] ^= 1
			broken := errors.New("the disk fails")
			sources := map[string]io.ReaderAt{
				"cut short": bytes.NewReader(stream[:2*segmentSize]),
				"changed":   bytes.NewReader(changed),
				"failing":   failingAt{bytes.NewReader(stream), 2 * segmentSize, broken},
			}
			for what, src := range sources {
				if err := open(src); err == nil || ReasonOf(err) == ReasonReplay {
					t.Errorf("%s, %s, %s: %v", l.name, name, what, err)
				}
			}
			if err := open(bytes.NewReader(stream)); err != nil {
				t.Errorf("%s, %s: the whole one: %v (%v)", l.name, name, err, ReasonOf(err))
			}
			if err := open(bytes.NewReader(stream)); ReasonOf(err) != ReasonReplay {
				t.Errorf("%s, %s: a second time: %v", l.name, name, err)
			}
		}
	}
}

// A failingAt fails where it reads past a point.
type failingAt struct {
	io.ReaderAt
	end int64
	err error
}

func (f failingAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.end {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

// A cache that fails to open a message of its own has not refused this one.
func TestCacheThatOpensMessagesItself(t *testing.T) {
	l := guarded(links(t)[2], cacheFunc(func(context.Context, ReplayClaim) (bool, error) {
		return false, fmt.Errorf("the store's answer: %w", fail(ReasonProof))
	}), 0)
	_, _, err := l.Open(nil, seal(t, &l.Sealer, "m"))
	if !errors.Is(err, ErrReplayUnavailable) || errors.Is(err, ErrOpen) || ReasonOf(err) != 0 {
		t.Errorf("%v, %v", err, ReasonOf(err))
	}
}
