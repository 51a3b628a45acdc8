package engine

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
)

// What the client shows reaches the server that decides, and what that grants the
// client: in a handshake and in each resume.
func TestCredentialsReachTheServer(t *testing.T) {
	for _, size := range []int{0, 1, 1000, MaxCredentials} {
		token := bytes.Repeat([]byte{7}, size)
		c, s := client(alice), server(bob)
		if err := c.h.Present(token); err != nil {
			t.Fatal(err)
		}
		s.h.Grant(90 * time.Minute)
		var seen []byte
		mustMeetVia(t, c, s, func(n int, f []byte) []byte { return f })
		if c.h.Lifetime() != 90*time.Minute || c.h.Credentials() != nil || s.h.Credentials() != nil {
			t.Errorf("granted %v; %d, %d bytes are kept", c.h.Lifetime(), len(c.h.Credentials()), len(s.h.Credentials()))
		}

		x, y := reviverOf(t, c.h.Session()), reviverOf(t, s.h.Session())
		x.Present(token)
		y.Grant(time.Second)
		y.asked = func() { seen = y.Credentials() }
		if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
			t.Fatal(cErr, sErr)
		}
		if !bytes.Equal(seen, token) || x.Lifetime() != time.Second {
			t.Errorf("the server saw %d bytes of %d; granted %v", len(seen), size, x.Lifetime())
		}
	}
}

func TestCredentialsAreBounded(t *testing.T) {
	c, _ := sessions(t)
	if err := client(alice).h.Present(make([]byte, MaxCredentials+1)); err != ErrCredentials {
		t.Errorf("a handshake takes 4097 bytes: %v", err)
	}
	if err := reviverOf(t, c).Present(make([]byte, MaxCredentials+1)); err != ErrCredentials {
		t.Errorf("a resume takes 4097 bytes: %v", err)
	}
}

// The ends compare what they see of TLS, and nobody else has a say.
func TestHopsAreCompared(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, test := range []struct {
		client, server []byte
		want           Hop
	}{
		{nil, nil, HopUnknown}, {one, nil, HopUnknown}, {nil, two, HopUnknown},
		{one, one, HopUnbroken}, {one, two, HopReterminated},
	} {
		c, s := client(alice), server(bob)
		c.h.Bind(test.client)
		s.h.Bind(test.server)
		mustMeet(t, c, s)
		if c.h.Hop() != test.want || s.h.Hop() != test.want {
			t.Errorf("handshake: %v and %v, want %v", c.h.Hop(), s.h.Hop(), test.want)
		}
		x, y := reviverOf(t, c.h.Session()), reviverOf(t, s.h.Session())
		x.Bind(test.client)
		y.Bind(test.server)
		if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
			t.Fatal(cErr, sErr)
		}
		if x.Hop() != test.want || y.Hop() != test.want {
			t.Errorf("resume: %v and %v, want %v", x.Hop(), y.Hop(), test.want)
		}
	}
}

// A26: a mark says nothing outside its exchange, even about the same connection.
func TestA26HopMarksAreOfOneExchange(t *testing.T) {
	binding := make([]byte, 32)
	a, b := newSchedule(make([]byte, 32), []byte("1"), []byte("2")), newSchedule(bytes.Repeat([]byte{1}, 32), []byte("1"), []byte("2"))
	if compareHops(b, hopMark(a, binding), binding) != HopReterminated || compareHops(a, hopMark(a, binding), binding) != HopUnbroken {
		t.Error("a mark was good in another exchange")
	}
	if bytes.Equal(hopMark(a, binding), sum(binding)) || len(hopMark(a, binding)) != 32 {
		t.Error("a mark shows the binding")
	}
}

// Lifetimes are told in ms, never as more than was granted, and never as none.
func TestLifetimesRoundDown(t *testing.T) {
	for granted, want := range map[time.Duration]time.Duration{
		0: 0, 1: time.Millisecond, time.Second + 999*time.Microsecond: time.Second,
		-time.Hour: time.Millisecond, 24 * time.Hour: 24 * time.Hour,
		1000 * 24 * time.Hour: math.MaxUint32 * time.Millisecond,
	} {
		if got := fromMillis(toMillis(granted)); got != want {
			t.Errorf("%v is told as %v, want %v", granted, got, want)
		}
	}
}

// A client's hello or auth that is authentic but not in its one form is refused.
func TestMalformedTermsRefused(t *testing.T) {
	id := alice.Public().Bytes()
	bins := func(values ...[]byte) []byte {
		b := strict.AppendArray(nil, len(values))
		for _, v := range values {
			b = strict.AppendBin(b, v)
		}
		return b
	}
	sig := make([]byte, 64)
	for name, terms := range map[string][][]byte{
		"4097 bytes":    {make([]byte, MaxCredentials+1), nil},
		"half a mark":   {nil, make([]byte, 16)},
		"a mark and ½":  {nil, make([]byte, 48)},
		"31 bytes":      {nil, make([]byte, 31)},
		"credentials":   {nil},
		"another value": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			values := append([][]byte{id}, terms...)
			c, s := client(alice), server(bob)
			_, sErr := meet(c, s, changing(3, func([]byte) []byte {
				return twinOf(s).seal(nil, label.SessionClientAuth, appendPadded(nil, nil, bins(append(values, sig)...)))
			}))
			wantReason(t, sErr, ErrHandshake, ReasonEncoding)

			a, b := sessions(t)
			y := reviverOf(t, b)
			_, sErr = revive(t, reviverOf(t, a), y, changing(3, func([]byte) []byte {
				schedule := *y.schedule
				return schedule.seal(nil, label.ResumeClientHello, appendPadded(nil, make([]byte, clientHelloFields), bins(values...)))
			}))
			wantReason(t, sErr, ErrResume, ReasonEncoding)
		})
	}
}

// twinOf is the schedule of an end that waits for a message.
func twinOf(e *end) *schedule {
	schedule := *e.h.schedule
	return &schedule
}

// A server's hello is checked like m4.
func TestMalformedServerHelloRefused(t *testing.T) {
	position := make([]byte, 8)
	id := strict.AppendBin(strict.AppendArray(nil, serverHelloData), bob.Public().Bytes())
	for name, v := range map[string]verdict{
		"an unknown code":        {code: CodeUnknown + 1},
		"an unknown hop":         {hop: HopReterminated + 1},
		"a hop nobody asked for": {hop: HopReterminated},
		"a refusal with a hop":   {code: CodeRefused, hop: HopUnbroken},
		"a refusal for an hour":  {code: CodeUnavailable, lifetime: time.Hour},
	} {
		c, s := sessions(t)
		x, y := reviverOf(t, c), reviverOf(t, s)
		cErr, _ := revive(t, x, y, changing(4, func([]byte) []byte {
			schedule := *x.schedule
			return schedule.seal(nil, label.ResumeServerHello, appendPadded(nil, append(v.append(nil), position...), id))
		}))
		var check *Error
		if !errors.As(cErr, &check) || check.Reason != ReasonEncoding {
			t.Errorf("%s: %v", name, cErr)
		}
	}
}
