package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/explore"
	"github.com/hopseal/hopseal/keys"
)

// The model of delivery with judges: at each end somebody who decides on the identity and
// the credentials of the other, in his own time, and who closes when he likes. Identities
// change, and credentials expire. They follow the rules that a driver has to follow.

// A verdict of a judge's on an identity.
const (
	judgeYes    = "yes"
	judgeNo     = "no"
	judgeUnsure = "unsure"
)

type judges struct {
	m        *model
	own      [2]*keys.Identity  // of each end
	accepted [2]map[uint64]bool // by each end: the statements of the other, by their serial
	peer     [2]uint64          // serial of the peer that each end has had

	fresh, stale uint64 // the last credentials that were issued, that have expired

	adopted int   // the last wire that the client has gone on with
	doomed  *Link // the session ends unless this is no longer its link
	by      int   // the wire that has brought that about

	patient [2]bool // Close was called
	over    [2]bool
	whole   [2]bool // told that everything has arrived
	calm    bool    // everything is accepted at once
	wrong   string  // the first thing that must not be
}

// newJudges makes sessions of two ends whose identities may change.
func newJudges(t testing.TB) *judges {
	j := &judges{own: [2]*keys.Identity{must(keys.GenerateIdentity("carol")), must(keys.GenerateIdentity("dave"))}}
	x, y := client(j.own[0]), server(j.own[1])
	mustMeet(t, x, y)
	j.m = modelOf(x.h.Session(), y.h.Session())
	j.m.judges = j
	for i := range j.accepted {
		j.peer[i] = j.own[1-i].Public().Serial()
		j.accepted[i] = map[uint64]bool{j.peer[i]: true}
	}
	return j
}

func (j *judges) fail(format string, args ...any) {
	if j.wrong == "" {
		j.wrong = fmt.Sprintf(format, args...)
	}
}

// ended reports whether an end is over: then there is no more to resume.
func (j *judges) ended() bool { return j != nil && (j.over[0] || j.over[1]) }

// number returns that of a wire.
func (j *judges) number(w *wire) int { return slices.Index(j.m.wires, w) }

// end ends a session at one end for what a wire has brought.
func (j *judges) end(end, by int, why string) {
	if by < j.adopted {
		j.fail("%s on wire %d ends a session that has gone on with wire %d", why, by, j.adopted)
	}
	j.leave(end)
}

// leave has an end forget its session.
func (j *judges) leave(end int) {
	j.over[end] = true
	j.m.sessions[end].Forget()
	for _, w := range j.m.wires {
		w.ends[end].die()
	}
}

// Attempts.

// show returns credentials that are good now.
func (j *judges) show() []byte {
	j.fresh = max(j.fresh, j.stale+1)
	return binary.BigEndian.AppendUint64(nil, j.fresh)
}

func (j *judges) good(credentials []byte) bool { return binary.BigEndian.Uint64(credentials) > j.stale }

// reviver is [reviverOf] an end that may be somebody else by now.
func (j *judges) reviver(t testing.TB, s *Session) *reviver {
	if j == nil {
		return reviverOf(t, s)
	}
	r := new(reviver)
	if s.client {
		r.Resume = must(NewResume(configFor(j.own[0]), s, epoch))
		r.Present(j.show())
	} else {
		r.Resume = must(AnswerResume(configFor(j.own[1]), s, epoch))
		r.slow = !j.calm
	}
	r.asked = func() { j.accept(s, r.Peer()) }
	return r
}

// accept is what the judge of a session's end has said yes to.
func (j *judges) accept(s *Session, peer *keys.PublicIdentity) {
	end := 1
	if s.client {
		end = 0
	}
	j.accepted[end][peer.Serial()] = true
}

// attempted is told how a frame of an attempt was taken.
func (j *judges) attempted(w *wire, end int, err error) {
	if j == nil {
		return
	}
	if check := new(Error); errors.As(err, &check) && check.Reason == ReasonAck {
		j.fail("end %d believes that the other was rolled back", end)
		return
	}
	if end == 0 && err == nil && w.ends[0].attempt.Link() != nil {
		j.adopted = j.number(w)
	}
}

// decide settles a server's attempt that waits for its judge.
func (j *judges) decide(w *wire, verdict string) {
	e := &w.ends[1]
	attempt := e.attempt
	if attempt == nil || !attempt.due {
		return
	}
	var step Step
	counted := false
	switch {
	case verdict == judgeNo:
		step, counted = attempt.Condemn(CodeRefused)
		if counted {
			j.end(1, j.number(w), "a refused identity")
		}
	case verdict == judgeUnsure:
		step, _ = attempt.Refuse(CodeUnavailable)
	case !j.good(attempt.Credentials()):
		if attempt.Committable() {
			j.doomed, j.by = j.m.sessions[1].Link(), j.number(w)
		}
		step, _ = attempt.Refuse(CodeRefused)
	default:
		j.commit(w)
		return
	}
	j.m.launch(w, 1, step.Frame)
	e.die()
}

func (j *judges) commit(w *wire) {
	e := &w.ends[1]
	frame, err := e.attempt.settle(Step{Next: Decide}, nil)
	j.attempted(w, 1, err)
	if err != nil {
		if j.wrong != "" {
			j.end(1, j.number(w), "an old position")
		}
		e.die()
		return
	}
	e.link, e.attempt = e.attempt.Link(), nil
	j.m.launch(w, 1, frame)
}

// condemn is the end of the time that a client has after its credentials were refused.
func (j *judges) condemn() {
	if j.doomed != nil && j.doomed.Condemn() {
		j.end(1, j.by, "refused credentials")
	}
	j.doomed = nil
}

// Updates.

// tell has an end tell who it is now.
func (j *judges) tell(w *wire, end int) {
	if l := w.ends[end].link; l != nil {
		var shown []byte
		if end == 0 {
			shown = j.show()
		}
		l.Update(j.own[end].Public(), shown) // one before it may not be answered
	}
}

// told is an update. What its sender signs from here on can be checked.
func (j *judges) told(w *wire, end int) {
	if s := j.m.sessions[end]; s.Stated().Serial() != w.ends[end].link.Offer().Peer.Serial() {
		j.fail("end %d cannot check what the other signs", end)
	}
	if j.calm {
		j.judge(w, end, judgeYes)
	}
}

// judge decides on an update, on whatever link it came.
func (j *judges) judge(w *wire, end int, verdict string) {
	l := w.ends[end].link
	if l == nil || !l.update.offerUnanswered || l.update.answerDue {
		return
	}
	offer := l.Offer()
	switch {
	case verdict == judgeNo || verdict == judgeYes && end == 1 && !j.good(offer.Credentials):
		if l.Condemn() {
			j.end(end, j.number(w), "a refused update")
		}
	case verdict == judgeUnsure:
		l.Decided(false, 0)
	default:
		j.accept(l.session, offer.Peer)
		l.Decided(true, 0)
	}
}

// Closes.

// opened is told what an end has opened, or not.
func (j *judges) opened(w *wire, end int, event Event, err error) {
	if j == nil {
		return
	}
	if check := new(Error); errors.As(err, &check) {
		switch check.Reason {
		case ReasonCredit, ReasonAck, ReasonRekey, ReasonUpdate, ReasonClose, ReasonLength:
			j.fail("end %d takes the other for one that breaks the rules: %v", end, check)
		}
	}
	switch {
	case err != nil:
	case event == Updated:
		j.told(w, end)
	case event == PeerClose:
		j.heard(end, w.ends[end].link)
	}
}

// heard is a close of the other end's.
func (j *judges) heard(end int, l *Link) {
	missing := uint64(len(j.m.sent[1-end]) - len(j.m.got[end]))
	if l.PeerCode() == CloseDone {
		j.whole[end] = true
	}
	if l.PeerMissing() != missing {
		j.fail("end %d is told with code %d that %d messages are missing; %d are", end, l.PeerCode(), l.PeerMissing(), missing)
	}
	j.leave(end)
}

// close closes an end, with or without waiting for what it has not heard of, with or
// without a link.
func (j *judges) close(end int, code CloseCode) {
	if j.over[end] {
		return
	}
	s := j.m.sessions[end]
	s.Finish()
	if _, left := s.Conclude(); len(left) == 0 && len(j.m.got[1-end]) != len(j.m.sent[end]) {
		j.fail("end %d has closed without an error, and %d of %d messages have arrived", end, len(j.m.got[1-end]), len(j.m.sent[end]))
	}
	for _, w := range j.m.wires {
		if l := w.ends[end].link; l != nil && l == s.Link() {
			j.sayGoodbye(w, end, l, code)
		}
	}
	j.leave(end)
}

const incomplete CloseCode = 6

func (j *judges) sayGoodbye(w *wire, end int, l *Link, code CloseCode) {
	frame, err := l.SealClose(j.m.now, nil, code)
	if errors.Is(err, ErrUnfinished) {
		frame, err = l.SealClose(j.m.now, nil, incomplete)
	}
	if err == nil {
		j.m.launch(w, end, frame)
	}
}

// finish has an end close once everything has arrived.
func (j *judges) finish(end int) {
	j.patient[end] = true
	j.m.sessions[end].Finish()
}

// queue numbers a message that is sent later, with a link or without one.
func (j *judges) queue(end int) {
	message := fmt.Sprint("\x00", len(j.m.sent[end]))
	if j.m.sessions[end].Queue(j.m.now, nil, []byte(message)) == nil {
		j.m.sent[end] = append(j.m.sent[end], message)
	}
}

// check is what holds at every moment.
func (j *judges) check(t *explore.T) {
	if j.m.check(t); j.wrong != "" {
		t.Fatal(j.wrong)
	}
	for i, s := range j.m.sessions {
		serial := s.Peer().Serial()
		if !j.accepted[i][serial] || serial < j.peer[i] {
			t.Fatalf("end %d takes statement %d for its peer, after %d; it has accepted %v", i, serial, j.peer[i], j.accepted[i])
		}
		j.peer[i] = serial
		if j.whole[i] && len(j.m.got[i]) != len(j.m.sent[1-i]) {
			t.Fatalf("end %d was told that it has everything, and has %d messages of %d", i, len(j.m.got[i]), len(j.m.sent[1-i]))
		}
	}
}

// settle is [model.calm]: after it an end that waits to close has closed, and the other
// knows that it has everything.
func (j *judges) settle(t testing.TB, rt *explore.T) {
	if j.ended() {
		return
	}
	j.calm = true
	j.m.calm(t)
	j.calm = false
	j.check(rt)
	for end := range j.patient {
		if !j.patient[end] || j.ended() {
			continue
		}
		j.close(end, CloseDone)
		w := j.m.wires[len(j.m.wires)-1]
		for _, frame := range w.flight[1-end] {
			j.m.arrive(w, 1-end, frame)
		}
		w.flight[1-end] = nil
		if j.check(rt); !j.whole[1-end] {
			rt.Fatalf("end %d has closed, and the other does not know that it has everything", end)
		}
	}
}
