package envelope

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// A guard that was not made by NewReplayGuard opens nothing: one for each request would
// open every replay. It cannot become one by way of its bytes.
func TestZeroReplayGuardRefuses(t *testing.T) {
	for _, l := range links(t) {
		sealed, err := l.Seal(nil, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		stream := sealStream(t, &l.Sealer, []byte("m"))
		for _, insecure := range []bool{false, true} {
			l.Replay, l.InsecureAllowReplay = new(ReplayGuard), insecure
			if _, _, err := l.Open(nil, sealed); err != errNoGuard {
				t.Errorf("%s: Open: %v", l.name, err)
			}
			if _, err := l.NewReader(bytes.NewReader(stream)); err != errNoGuard {
				t.Errorf("%s: NewReader: %v", l.name, err)
			}
			if _, err := l.NewReaderAt(bytes.NewReader(stream), int64(len(stream))); err != errNoGuard {
				t.Errorf("%s: NewReaderAt: %v", l.name, err)
			}
		}
	}
	now := time.Now()
	if err := new(ReplayGuard).accept(Header{ID: newMessageID(), Time: now}, now); err != errNoGuard {
		t.Errorf("accept: %v", err)
	}
	if _, err := ParseReplayGuard(new(ReplayGuard).Bytes()); !errors.Is(err, ErrReplayGuard) {
		t.Errorf("ParseReplayGuard: %v", err)
	}
}
