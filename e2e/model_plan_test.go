package e2e_test

import (
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/explore"
)

// The model of sessions with judges: the server's Verifier is slow, cannot tell or refuses,
// tokens expire, the client's identity changes, the hop holds first words of connections
// back until all of that is out of date, and in the middle of it an end closes. Whatever the
// plans are, the peer was always accepted, nothing but a close or a refusal ends the session,
// io.EOF comes behind everything that was sent, and a Close that returns nil knows.

// An opinion is what the server's Verifier says next.
type opinion struct {
	after time.Duration
	what  string // "yes", "unsure", "no"
}

// A goodbye is how the session ends, unless it is refused.
type goodbye struct {
	after time.Duration
	how   string // "client", "server": Close; "returns", "fails": the server's function; "shuts down"
}

type judgedPlan struct {
	plan
	answers  []opinion       // then yes
	life     time.Duration   // of a token; 0: no credentials
	renewals []time.Duration // pauses between the statements of the client's identity
	holds    []time.Duration // for how long the hop holds back r3, of one connection after the other
	jams     []jam           // of one connection of the client's after the other
	goodbye  goodbye
}

// A jam is where a hop stops reading.
type jam struct {
	nth  int // the frame for the client before which it does
	hold time.Duration
}

func drawJudgedPlan(rt *explore.T) (p judgedPlan) {
	p.plan = drawPlan(rt)
	for i := range p.troubles {
		p.troubles[i].after %= 5 * time.Second
		p.troubles[i].nth = 1 + p.troubles[i].nth%3 // for which the client has the time of a handshake
	}
	for end := range p.turns {
		for i := range p.turns[end] {
			p.turns[end][i].wait %= 3 * time.Second
		}
	}
	if explore.Bool().Draw(rt, "tokens") {
		p.life = upTo(rt, "life", 3*time.Second) + 2*time.Second // beyond the pause between two decisions
	} else {
		p.answers = draw(8, drawOpinion).Draw(rt, "answers")
	}
	p.renewals = draw(4, func(rt *explore.T) time.Duration { return upTo(rt, "pause", 5*time.Second) }).Draw(rt, "renewals")
	p.holds = draw(6, func(rt *explore.T) time.Duration {
		return explore.SampledFrom([]time.Duration{0, 0, 1, 1}).Draw(rt, "whether") * upTo(rt, "hold", 9*time.Second)
	}).Draw(rt, "holds")
	p.goodbye = goodbye{
		after: upTo(rt, "after", 20*time.Second),
		how:   explore.SampledFrom([]string{"client", "client", "server", "server", "returns", "returns", "fails", "shuts down"}).Draw(rt, "how"),
	}
	switch explore.SampledFrom([]string{"", "press", "jam"}).Draw(rt, "directed") {
	case "press":
		p.press(rt)
	case "jam":
		p.jam(rt)
	}
	return p
}

func seconds(rt *explore.T, what string, some ...float64) time.Duration {
	return time.Duration(explore.SampledFrom(some).Draw(rt, what) * float64(time.Second))
}

// press begins with what is rare otherwise: a cut between two messages, the first attempt
// behind it held back, and a close some time later.
func (p *judgedPlan) press(rt *explore.T) {
	p.holds = slices.Insert(p.holds, 0, seconds(rt, "first hold", 2.5, 4, 6, 8))
	p.troubles = slices.Insert(p.troubles, 0, trouble{after: time.Second, what: "cut", nth: 1})
	for end := range p.turns {
		between := turn{what: "wait", wait: seconds(rt, "between", 1.5, 3, 4, 5)}
		p.turns[end] = slices.Insert(p.turns[end], 0, turn{what: "send"}, between, turn{what: "send", size: 1000})
	}
	p.goodbye.after += seconds(rt, "later", 0, 3, 8, 15)
}

// jam begins with messages of the server that the hop does not let through, and goes on so
// behind a cut; and an end closes.
func (p *judgedPlan) jam(rt *explore.T) {
	p.holds, p.troubles = nil, slices.Insert(p.troubles, 0, trouble{after: time.Second, what: "cut", nth: 1})
	p.jams = []jam{{3, time.Minute}, {explore.IntRange(3, 6).Draw(rt, "nth"), seconds(rt, "jam", 1, 3, 8, 40)}}
	size := explore.SampledFrom([]int{10, 1000, 3000, 20_000}).Draw(rt, "size")
	for range explore.SampledFrom([]int{1, 4, 10, 20, 40}).Draw(rt, "messages") { // 16 fit into a connection
		p.turns[1] = slices.Insert(p.turns[1], 0, turn{what: "send", size: size})
	}
	p.goodbye.after = seconds(rt, "close after", 0.5, 1.5, 2, 2.5, 5)
}

func drawOpinion(rt *explore.T) opinion {
	a := opinion{what: explore.SampledFrom([]string{"yes", "yes", "yes", "unsure", "unsure", "no"}).Draw(rt, "what")}
	if explore.IntRange(0, 2).Draw(rt, "slow") == 0 {
		a.after = upTo(rt, "after", 8*time.Second)
	}
	return a
}
