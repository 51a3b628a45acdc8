package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// storedAttempt is the server's end of an attempt that begins with a secret alone.
func storedAttempt(t testing.TB, s *Session) (r *reviver, loads *int) {
	t.Helper()
	heads := s.Heads()
	e, err := AnswerStored(configFor(bob), heads[len(heads)-1].Secret, epoch)
	if err != nil {
		t.Fatal(err)
	}
	r, loads = &reviver{Resume: e}, new(int)
	r.load = func() (Step, error) {
		*loads++
		return e.Loaded(s)
	}
	return r, loads
}

// A57: the session is wanted only behind an r3 that opens, whatever came before.
func TestA57StoredSessionsAreLoadedBehindR3(t *testing.T) {
	for n := 0; n <= 4; n++ {
		c, s := storedSessions(t)
		y, loads := storedAttempt(t, s)
		cErr, sErr := revive(t, reviverOf(t, c), y, changing(n, func(frame []byte) []byte {
			frame = bytes.Clone(frame)
			frame[len(frame)-1] ^= 1
			return frame
		}))
		want, fails := 1, n == 1 || n == 3
		if fails || n == 2 {
			want = 0
		}
		if *loads != want || fails != (sErr != nil) || n == 0 && cErr != nil {
			t.Errorf("frame %d changed: %d loads, client %v, server %v", n, *loads, cErr, sErr)
		}
	}
}

// An attempt goes on from the secret in either head, and is committed like any other.
func TestStoredAttemptGoesOn(t *testing.T) {
	c, s := storedSessions(t)
	for range 3 {
		y, _ := storedAttempt(t, s)
		x := reviverOf(t, c)
		if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
			t.Fatal(cErr, sErr)
		}
		if len(s.Heads()) != 2 {
			t.Error("the client has not confirmed, and the next secret is not there")
		}
		greet(t, x.Link(), y.Link())
	}
}

// Whoever finds out behind r3 that there is no session any more says so, encrypted.
func TestStoredSessionsThatAreGone(t *testing.T) {
	c, s := storedSessions(t)
	y, _ := storedAttempt(t, s)
	y.load = func() (Step, error) { return y.Refuse(CodeUnknown) }
	if cErr, _ := revive(t, reviverOf(t, c), y, honest); !errors.Is(cErr, ErrUnknownSession) {
		t.Errorf("the client says %v", cErr)
	}
	// The attempt itself is none of another session's, and of no client's.
	y, _ = storedAttempt(t, s)
	other, another := storedSessions(t)
	for _, wrong := range []*Session{other, another} {
		y.load = func() (Step, error) {
			step, err := y.Loaded(wrong)
			if err == nil {
				t.Error("an attempt went on with another session")
			}
			return step, err
		}
		revive(t, reviverOf(t, c), y, honest)
		y, _ = storedAttempt(t, s)
	}
}

// A42: a head prints no secret.
func TestA42HeadsAreRedacted(t *testing.T) {
	_, s := storedSessions(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(verb, s.Heads()[0]); !strings.Contains(got, "redacted") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
