package engine

import (
	"maps"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/explore"
)

// pass delivers the next n frames of a wire, in their order, as they are made.
func (j *judges) pass(w *wire, n int) {
	for to := 1; n > 0; n-- {
		if len(w.flight[to]) == 0 {
			to = 1 - to
		}
		if len(w.flight[to]) == 0 {
			return
		}
		frame := w.flight[to][0]
		w.flight[to] = w.flight[to][1:]
		j.m.arrive(w, to, frame)
	}
}

// waiting are the wires whose end has to decide.
func (j *judges) waiting(due func(w *wire) bool) []*wire {
	return slices.DeleteFunc(slices.Clone(j.m.wires), func(w *wire) bool { return !due(w) })
}

func oneOf(t *explore.T, wires []*wire) *wire {
	if len(wires) == 0 {
		t.Skip("nothing waits")
	}
	return explore.SampledFrom(wires).Draw(t, "wire")
}

func drawVerdict(t *explore.T) string {
	return explore.SampledFrom([]string{judgeYes, judgeYes, judgeYes, judgeYes, judgeYes, judgeUnsure, judgeUnsure, judgeNo}).Draw(t, "verdict")
}

// decideAny settles any attempt that waits.
func (j *judges) decideAny(t *explore.T) {
	due := j.waiting(func(w *wire) bool { return w.ends[1].attempt != nil && w.ends[1].attempt.due })
	j.decide(oneOf(t, due), drawVerdict(t))
}

// judgeAny settles any update that waits.
func (j *judges) judgeAny(t *explore.T) {
	i := explore.IntRange(0, 1).Draw(t, "end")
	j.judge(oneOf(t, j.waiting(func(w *wire) bool { return w.ends[i].link != nil && w.ends[i].link.update.offerUnanswered })), i, drawVerdict(t))
}

// hold makes an attempt of which the hop, or the judge, holds back what it likes.
func (j *judges) hold(t *explore.T, tb testing.TB) {
	j.pass(j.m.reconnect(tb), explore.SampledFrom([]int{0, 1, 2, 2, 3, 3}).Draw(t, "frames"))
	if explore.Bool().Draw(t, "until its credentials expire") {
		j.stale = j.fresh
	}
}

// comeBack makes an attempt that the hop lets through, and the judge perhaps.
func (j *judges) comeBack(t *explore.T, tb testing.TB) {
	w := j.m.reconnect(tb)
	j.pass(w, 3)
	j.decide(w, drawVerdict(t))
	j.pass(w, 1)
}

// closeOnTheWay has an end close with messages that were not sent, as soon as the client is
// back, or before that.
func (j *judges) closeOnTheWay(t *explore.T, tb testing.TB) {
	end := explore.IntRange(0, 1).Draw(t, "end")
	for range explore.IntRange(0, 2).Draw(t, "queued") {
		j.queue(end)
	}
	w := j.m.reconnect(tb)
	j.pass(w, 3)
	j.decide(w, judgeYes)
	j.pass(w, explore.IntRange(0, 1).Draw(t, "r4"))
	for range explore.IntRange(0, 3).Draw(t, "sent again") {
		j.m.pump(w, end)
	}
	j.closeAny(t, end)
	j.pass(w, explore.IntRange(0, 10).Draw(t, "arrive"))
}

func (j *judges) closeAny(t *explore.T, end int) {
	j.close(end, explore.SampledFrom([]CloseCode{CloseDone, CloseDone, 1, incomplete}).Draw(t, "code"))
}

// rarely skips most of the times: much can happen before.
func rarely(t *explore.T) {
	if explore.IntRange(0, 5).Draw(t, "whether") > 0 {
		t.Skip("not yet")
	}
}

// talk has both ends of the newest wire say what is due, and hear it.
func (j *judges) talk(t *explore.T) {
	w := j.m.wires[len(j.m.wires)-1]
	for range explore.IntRange(1, 3).Draw(t, "rounds") {
		j.m.now = j.m.now.Add(ackDelay)
		for i := range w.ends {
			j.m.pump(w, i)
		}
		j.pass(w, 10)
	}
}

// update has an end tell who it is, and the other hear it.
func (j *judges) update(t *explore.T) {
	w, end := j.m.wires[len(j.m.wires)-1], explore.IntRange(0, 1).Draw(t, "end")
	if explore.Bool().Draw(t, "another") {
		if err := j.own[end].Renew(); err != nil {
			t.Fatal(err)
		}
	}
	j.tell(w, end)
	j.talk(t)
	if explore.Bool().Draw(t, "decided now") {
		j.judge(w, 1-end, drawVerdict(t))
	}
}

// steps are those of delivery, and those of judges.
func (j *judges) steps(tb testing.TB) map[string]func(*explore.T) {
	steps := j.m.steps(tb)
	alive := map[string]func(*explore.T){
		"reconnect": func(*explore.T) { j.m.reconnect(tb) },
		"calm":      func(t *explore.T) { j.settle(tb, t) },
		"hold":      func(t *explore.T) { j.hold(t, tb) },
		"hold 2":    func(t *explore.T) { j.hold(t, tb) },
		"come back": func(t *explore.T) { j.comeBack(t, tb) },
		"decide":    j.decideAny,
		"decide 2":  j.decideAny,
		"judge":     j.judgeAny,
		"judge 2":   j.judgeAny,
		"condemn":   func(*explore.T) { j.condemn() },
	}
	for name, step := range alive {
		steps[name] = func(t *explore.T) {
			if j.ended() {
				t.Skip("it is over")
			}
			step(t)
		}
	}
	maps.Copy(steps, map[string]func(*explore.T){
		"":       j.check,
		"talk":   j.talk,
		"talk 2": j.talk,
		"update": j.update,
		"expire": func(*explore.T) { j.stale = j.fresh },
		"queue":  func(t *explore.T) { j.queue(explore.IntRange(0, 1).Draw(t, "end")) },
	})
	return steps
}

// closes are the steps of ends that close.
func (j *judges) closes(tb testing.TB) map[string]func(*explore.T) {
	return map[string]func(*explore.T){
		"finish": func(t *explore.T) { rarely(t); j.finish(explore.IntRange(0, 1).Draw(t, "end")) },
		"close":  func(t *explore.T) { rarely(t); j.closeAny(t, explore.IntRange(0, 1).Draw(t, "end")) },
		"close 2": func(t *explore.T) {
			if rarely(t); j.ended() {
				t.Skip("it is over")
			}
			j.closeOnTheWay(t, tb)
		},
	}
}

// A52 to A54: complete means complete, attempts and links that do not count change nothing,
// and the peer is one that was accepted, whatever a hop does, judges say, and ends close.
func TestModelOfSessions(t *testing.T) {
	explore.Check(t, func(rt *explore.T) {
		j := newJudges(rt)
		steps := j.steps(rt)
		if explore.Bool().Draw(rt, "ends close") {
			maps.Copy(steps, j.closes(rt))
		}
		rt.Repeat(steps)
		j.settle(rt, rt)
		j.check(rt)
	})
}
