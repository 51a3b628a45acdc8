package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/explore"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// The model: two ends, any number of connections between them, and a hop that does
// to frames what it likes. Each end behaves as a driver has to; connections that the
// client has given up stay open at the server until it finds out, and what is under
// way on them may arrive at any later time. At every moment each end has received
// exactly a beginning of what the other has sent, and whatever has happened, one
// attempt that the hop leaves alone brings everything across, and a rekey if one is due.

// An endpoint is one end of one connection: resuming, linked or dead.
type endpoint struct {
	session *Session
	attempt *reviver // while resuming
	link    *Link    // when linked
}

func (e *endpoint) die() { e.attempt, e.link = nil, nil }

// A wire is one connection. The client's end has index 0, the server's 1; flight is
// what is under way to that end.
type wire struct {
	ends   [2]endpoint
	flight [2][][]byte
}

type model struct {
	sessions [2]*Session
	wires    []*wire
	log      [][]byte // every frame ever sent
	sent     [2][]string
	got      [2][]string
	parts    [2][]byte // what has come of a message to each end, on whatever wires
	now      time.Time
	judges   *judges // nil: everything is accepted at once, and nobody closes
}

func newModel(t testing.TB) *model { return modelOf(sessions(t)) }

func modelOf(c, s *Session) *model {
	w := &wire{ends: [2]endpoint{{session: c, link: c.Link()}, {session: s, link: s.Link()}}}
	return &model{sessions: [2]*Session{c, s}, wires: []*wire{w}, now: epoch}
}

// launch puts a frame of an end on its way to the other.
func (m *model) launch(w *wire, from int, frame []byte) {
	if len(frame) > 0 {
		w.flight[1-from] = append(w.flight[1-from], frame)
		m.log = append(m.log, bytes.Clone(frame))
	}
}

// arrive gives an end a frame, as a driver would.
func (m *model) arrive(w *wire, to int, frame []byte) {
	e := &w.ends[to]
	switch {
	case e.attempt != nil:
		reply, err := e.attempt.receive(frame)
		m.launch(w, to, reply)
		m.judges.attempted(w, to, err)
		if err != nil {
			e.die()
		} else if link := e.attempt.Link(); link != nil {
			e.attempt, e.link = nil, link
		}
	case e.link != nil:
		out, event, err := e.link.Open(m.now, m.parts[to], frame)
		if m.parts[to] = out; err != nil {
			e.die()
		} else if event == Message {
			if !kindOf(nil, out).Free() {
				e.session.Consumed(m.now, len(out))
			}
			m.got[to], m.parts[to] = append(m.got[to], string(out)), nil
		} else if event == Rekeyed {
			e.link.Saved()
		}
		m.judges.opened(w, to, event, err)
	}
}

// write has an end of a wire do something that makes a frame.
func (m *model) write(w *wire, from int, seal func(l *Link) ([]byte, error)) {
	e := &w.ends[from]
	if e.link == nil {
		return
	}
	frame, err := seal(e.link)
	m.launch(w, from, frame)
	if err != nil && !errors.Is(err, ErrBlocked) {
		e.die()
	}
}

// send has an application send a message, on each wire that could take it: only
// one may.
func (m *model) send(from, size int, kind Kind) {
	message := string(rune(kind)) + fmt.Sprint(len(m.sent[from]), strings.Repeat("-", size))
	for _, w := range m.wires {
		before := m.sessions[from].Sent()
		m.write(w, from, func(l *Link) ([]byte, error) { return l.Seal(m.now, nil, nil, []byte(message)) })
		if m.sessions[from].Sent() > before {
			m.sent[from] = append(m.sent[from], message)
			return
		}
	}
}

// pump has both ends send what is due, and again what has to be.
func (m *model) pump(w *wire, from int) {
	m.write(w, from, func(l *Link) ([]byte, error) { return l.Control(m.now, nil) })
	m.write(w, from, func(l *Link) ([]byte, error) { return l.Next(m.now, nil) })
}

// reconnect has the client give its connection up and begin an attempt.
func (m *model) reconnect(t testing.TB) *wire {
	for _, w := range m.wires {
		w.ends[0].die()
	}
	w := new(wire)
	for i, s := range m.sessions {
		w.ends[i] = endpoint{session: s, attempt: m.judges.reviver(t, s)}
	}
	m.wires = append(m.wires, w)
	for i := range w.ends {
		frame, err := w.ends[i].attempt.start()
		if err != nil {
			t.Fatal(err)
		}
		m.launch(w, i, frame)
	}
	return w
}

// check is what holds at every moment.
func (m *model) check(t interface{ Fatalf(string, ...any) }) {
	if !m.judges.ended() {
		if _, ok := m.sessions[1].secretFor(resumeID(m.sessions[0].secret.value)); !ok {
			t.Fatalf("the server does not know the client's secret")
		}
	}
	for i := range m.got {
		sent := m.sent[1-i]
		if len(m.got[i]) > len(sent) {
			t.Fatalf("end %d has %d messages of %d", i, len(m.got[i]), len(sent))
		}
		if n := len(m.got[i]); n > 0 && m.got[i][n-1] != sent[n-1] {
			t.Fatalf("end %d: message %d is %.8q, want %.8q", i, n, m.got[i][n-1], sent[n-1])
		}
		if acked := m.sessions[1-i].Acked(); acked > uint64(len(m.got[i])) {
			t.Fatalf("end %d has %d messages, %d are acknowledged", i, len(m.got[i]), acked)
		}
	}
}

// calm lets one attempt pass unharmed, and then everything that is due.
func (m *model) calm(t testing.TB) {
	w, began := m.reconnect(t), m.now
	for range 10_000 {
		m.now = m.now.Add(ackDelay)
		for i := range w.ends {
			m.pump(w, i)
		}
		busy := false
		for i := range w.flight {
			for len(w.flight[i]) > 0 {
				frame := w.flight[i][0]
				w.flight[i] = w.flight[i][1:]
				m.arrive(w, i, frame)
				busy = true
			}
		}
		if !busy {
			break
		}
	}
	m.check(t)
	if old := began.Sub(m.sessions[0].healed); old >= DefaultRekeyAfter {
		t.Fatalf("keys are %v old", old)
	}
	for i, s := range m.sessions {
		if s.Deadline() == longAgo {
			t.Fatalf("end %d is not done", i)
		}
		if w.ends[i].link == nil {
			t.Fatalf("end %d is stranded", i)
		}
		if len(m.got[i]) != len(m.sent[1-i]) || s.Acked() != uint64(len(m.sent[i])) || s.Sent() != s.Acked() {
			t.Fatalf("end %d has %d messages of %d, and %d of %d acknowledged", i, len(m.got[i]), len(m.sent[1-i]), s.Acked(), s.Sent())
		}
	}
}

// A15, A18: exactly once and in order, whatever a hop does, and never stranded.
func TestModelOfDelivery(t *testing.T) {
	explore.Check(t, func(rt *explore.T) {
		m := newModel(rt)
		rt.Repeat(m.steps(rt))
		m.calm(rt)
	})
}

// pick draws a wire and an end of it. The newest wires are where most happens.
func (m *model) pick(t *explore.T) (*wire, int) {
	back := explore.IntRange(0, min(3, len(m.wires)-1)).Draw(t, "wire from the end")
	return m.wires[len(m.wires)-1-back], explore.IntRange(0, 1).Draw(t, "end")
}

// flight draws an end to which something is under way.
func (m *model) flight(t *explore.T) (*wire, int) {
	w, i := m.pick(t)
	if len(w.flight[i]) == 0 {
		t.Skip("nothing under way")
	}
	return w, i
}

func (m *model) deliver(t *explore.T) {
	w, i := m.flight(t)
	frame := w.flight[i][0]
	w.flight[i] = w.flight[i][1:]
	m.arrive(w, i, frame)
}

func (m *model) sendAny(t *explore.T) {
	m.send(explore.IntRange(0, 1).Draw(t, "end"), explore.SampledFrom([]int{0, 0, 10, 1000, 20_000, 70_000, 200_000}).Draw(t, "size"),
		explore.SampledFrom([]Kind{KindMessage, KindRequest}).Draw(t, "kind"))
}

// steps are what may happen.
func (m *model) steps(tb testing.TB) map[string]func(*explore.T) {
	return map[string]func(*explore.T){
		"":         func(t *explore.T) { m.check(t) },
		"send":     m.sendAny,
		"send 2":   m.sendAny,
		"deliver":  m.deliver,
		"deliver2": m.deliver,
		"deliver3": m.deliver,
		"pump": func(t *explore.T) {
			w, i := m.pick(t)
			m.now = m.now.Add(ackDelay / 2)
			m.pump(w, i)
		},
		"age": func(*explore.T) { m.now = m.now.Add(DefaultRekeyAfter) },
		"drop": func(t *explore.T) {
			w, i := m.flight(t)
			w.flight[i] = w.flight[i][1:]
		},
		"repeat": func(t *explore.T) {
			w, i := m.flight(t)
			w.flight[i] = append(w.flight[i], bytes.Clone(w.flight[i][0]))
		},
		"reorder": func(t *explore.T) {
			if w, i := m.flight(t); len(w.flight[i]) > 1 {
				w.flight[i][0], w.flight[i][1] = w.flight[i][1], w.flight[i][0]
			}
		},
		"corrupt": func(t *explore.T) {
			w, i := m.flight(t)
			frame := bytes.Clone(w.flight[i][0])
			frame[explore.IntRange(0, len(frame)-1).Draw(t, "byte")] ^= 1
			w.flight[i][0] = frame
		},
		"replay": func(t *explore.T) {
			w, i := m.pick(t)
			if len(m.log) > 0 {
				m.arrive(w, i, bytes.Clone(explore.SampledFrom(m.log).Draw(t, "frame")))
			}
		},
		"cut":       func(t *explore.T) { w, i := m.pick(t); w.ends[i].die() },
		"reconnect": func(*explore.T) { m.reconnect(tb) },
		"calm":      func(*explore.T) { m.calm(tb) },
	}
}

// A connection that is cut at each frame in turn, in each direction, with messages
// under way: the short form of a long night.
func TestCutAtEveryFrame(t *testing.T) {
	step := 1
	if slowtest.Mode {
		step = 3
	}
	for cut := 0; cut < 40; cut += step {
		m := newModel(t)
		w := m.wires[0]
		frames := 0
		for round := range 30 {
			m.now = m.now.Add(ackDelay)
			if round%8 == 0 {
				m.now = m.now.Add(DefaultRekeyAfter)
			}
			m.send(0, 100, KindMessage)
			m.send(1, 100+round%3*pieceSize, KindAnswer)
			for i := range w.ends {
				m.pump(w, i)
				for len(w.flight[i]) > 0 {
					frame := w.flight[i][0]
					w.flight[i] = w.flight[i][1:]
					if frames++; frames%(cut+1) == cut {
						w = m.reconnect(t) // the frame is lost with the connection
						break
					}
					m.arrive(w, i, frame)
				}
			}
			m.check(t)
			if round == 15 {
				m.calm(t)
				w = m.wires[len(m.wires)-1]
			}
		}
		m.calm(t)
	}
}
