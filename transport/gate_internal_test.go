//go:build !js

package transport

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestABucketLetsABurstThroughAndThenTheRate(t *testing.T) {
	rate := Rate{PerSecond: 10, Burst: 5}
	var b bucket
	now := time.Hour
	for i := range 5 {
		if wait := b.debt(now, 1, rate); wait != 0 {
			t.Fatalf("token %d of the burst takes %v", i, wait)
		}
		b.take(now, 1, rate)
	}
	if wait := b.debt(now, 1, rate); wait != 100*time.Millisecond {
		t.Fatalf("the next token takes %v", wait)
	}
	now += 250 * time.Millisecond
	for i, want := range []time.Duration{0, 0, 50 * time.Millisecond} {
		if wait := b.debt(now, 1, rate); wait != want {
			t.Fatalf("token %d after 250 ms takes %v, want %v", i, wait, want)
		}
		b.take(now, 1, rate)
	}
	if now += time.Hour; !b.full(now) || b.debt(now, 5, rate) != 0 || b.debt(now, 6, rate) == 0 {
		t.Fatal("after a pause the bucket does not hold one burst")
	}
}

func TestABucketStandsExtremes(t *testing.T) {
	for _, rate := range []Rate{{PerSecond: math.SmallestNonzeroFloat64}, {PerSecond: math.MaxFloat64, Burst: math.MaxInt},
		{PerSecond: math.Inf(1)}, {PerSecond: 1e-9, Burst: math.MinInt}} {
		var b bucket
		for range 1000 {
			b.take(math.MaxInt64-2*maxCost, math.MaxInt, rate)
			if wait := b.debt(0, math.MaxInt, rate); wait < 0 || wait > maxCost || b < 0 {
				t.Fatalf("%+v: wait %v, bucket %v", rate, wait, time.Duration(b))
			}
		}
	}
	if (Rate{PerSecond: -1}).limits() || (Rate{}).limits() || (Rate{PerSecond: math.NaN()}).limits() {
		t.Error("no rate limits")
	}
}

// comeAndGo lets a client in if the gate does, and out again.
func comeAndGo(g *Gate, client string) *refusal {
	m, no := g.admit(client)
	if no == nil {
		m.refused(0)
	}
	return no
}

func TestA33StrangersDoNotGrowTheTable(t *testing.T) {
	g := NewGate(&GateOptions{ConnRate: Rate{PerSecond: 1e-6, Burst: 2}}) // nobody is forgotten by and by
	held, no := g.admit("192.0.2.1")
	if no != nil {
		t.Fatal(no.problem)
	}
	for i := range 3 * maxStrangers {
		if no := comeAndGo(g, fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)); no != nil {
			t.Fatalf("stranger %d: %s", i, no.problem)
		}
	}
	if n := len(g.addresses); n > maxStrangers+1 || n < maxStrangers {
		t.Errorf("%d addresses in the table", n)
	}
	if g.addresses["192.0.2.1"].conns != 1 {
		t.Error("the connection that is held was forgotten")
	}
	held.refused(0)
	if g.held != 0 || g.addresses["192.0.2.1"].conns != 0 {
		t.Errorf("%d connections held by nobody", g.held)
	}
}

func TestAddressesThatAreDoneWithAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(nil)
		m, _ := g.admit("192.0.2.1")
		time.Sleep(time.Second)
		m.refused(0)
		if len(g.addresses) != 0 {
			t.Errorf("%d addresses in the table", len(g.addresses))
		}
	})
}

func TestA33AnAddressThatConnectsTooOftenWaitsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(&GateOptions{ConnRate: Rate{PerSecond: 0.5, Burst: 3}})
		for range 3 {
			if no := comeAndGo(g, "192.0.2.1"); no != nil {
				t.Fatal(no.problem)
			}
		}
		for range 100 { // refused attempts do not make it worse
			no := comeAndGo(g, "192.0.2.1")
			if no == nil || no.status != 429 || no.header.Get("Retry-After") != "2" {
				t.Fatalf("let in, or %+v", no)
			}
		}
		if no := comeAndGo(g, "192.0.2.2"); no != nil {
			t.Fatalf("another address is refused: %s", no.problem)
		}
		time.Sleep(2 * time.Second)
		if no := comeAndGo(g, "192.0.2.1"); no != nil {
			t.Fatalf("after the time that Retry-After said: %s", no.problem)
		}
		if no := comeAndGo(g, "192.0.2.1"); no == nil {
			t.Fatal("a second one is let in too")
		}
	})
}

func TestA33CapsCountBlocksAndKeepRoomForOthers(t *testing.T) {
	g := NewGate(&GateOptions{MaxConns: 20, MaxConnsPerAddress: 9, ConnRate: Rate{PerSecond: -1}})
	enter := func(client string, want *denial) *meter {
		t.Helper()
		m, no := g.admit(client)
		if want == nil && no != nil || want != nil && (no == nil || no.clientText != want.clientText || no.status != want.status) {
			t.Fatalf("%s: %+v, want %+v", client, no, want)
		}
		return m
	}
	for i := range 9 {
		enter(fmt.Sprintf("2001:db8::%x", i), nil)
	}
	enter("2001:db8::ffff", deniedAddress) // the same /64
	for range 8 {
		enter("192.0.2.1", nil)
	}
	m := enter("2001:db8:0:1::1", nil)
	enter("192.0.2.1", deniedFull) // 18 of 20 held: the rest is for newcomers
	enter("192.0.2.2", nil)
	enter("192.0.2.2", deniedFull)
	enter("192.0.2.3", nil)
	enter("192.0.2.4", deniedFull)
	m.refused(0)
	m.refused(0) // counts once
	enter("192.0.2.4", nil)
	enter("192.0.2.5", deniedFull)
}

func TestAGateWithoutLimits(t *testing.T) {
	g := NewGate(&GateOptions{MaxConns: -1, MaxConnsPerAddress: -1, ConnRate: Rate{PerSecond: -1}, WriteTimeout: -1})
	for range 20_000 {
		if _, no := g.admit("192.0.2.1"); no != nil {
			t.Fatal(no.problem)
		}
	}
	if every := g.sweepEvery(); every != 0 {
		t.Errorf("sweeps every %v", every)
	}
	var none *Gate
	if m, no := none.admit("192.0.2.1"); m != nil || no != nil {
		t.Error("no gate refuses somebody")
	}
}

// Clients without an IP address, as on a Unix socket, share nothing but the cap of
// all.
func TestClientsWithoutAnAddress(t *testing.T) {
	g := NewGate(&GateOptions{MaxConns: 10, MaxConnsPerAddress: 2})
	for range 10 {
		if _, no := g.admit("@"); no != nil {
			t.Fatal(no.problem)
		}
	}
	if _, no := g.admit("@"); no == nil || no.clientText != deniedFull.clientText {
		t.Fatalf("one too many: %+v", no)
	}
	if len(g.addresses) != 0 {
		t.Errorf("%d addresses", len(g.addresses))
	}
}

func TestBlockOf(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::/64",
		"2001:db8::1": "2001:db8::/64", "::ffff:192.0.2.1": "192.0.2.1", "@": "", "": "", "example.com": "",
	} {
		if got := blockOf(client); got != want {
			t.Errorf("%q: %q, want %q", client, got, want)
		}
	}
}

// Each end has its word, and each word is a label of a metric.
func TestEveryEndHasAnOutcome(t *testing.T) {
	for want, why := range map[outcome]*CloseError{
		outcomeClosed:     {Code: CodeNormal},
		outcomePeerClosed: {Code: CodeNormal, Remote: true},
		outcomeLost:       lost(nil),
		outcomeSilent:     lost(errSilent),
		outcomeAbandoned:  gaveUp(context.Canceled),
		outcomeExpired:    {Code: CodeUnauthorized, Err: ErrUnauthorized},
		outcomeViolation:  {Code: CodeTooLarge, Err: ErrTooLarge},
		outcomeSlow:       {Code: CodeAbnormal, Err: fmt.Errorf("%w for long", ErrSlowPeer)},
		outcomeIdle:       {Code: CodeGoingAway, Err: fmt.Errorf("%w for long", ErrIdle)},
		outcomeDrained:    {Code: CodeAbnormal, Err: errDrained},
	} {
		if got := outcomeOf(why); got != want || !slices.Contains(endings, got) {
			t.Errorf("%v: %s, want %s", why, got, want)
		}
	}
	for status, want := range map[int]outcome{400: outcomeHandshake, 405: outcomeHandshake, 426: outcomeHandshake,
		401: outcomeUnauthorized, 403: outcomeForbidden, 500: outcomeFailed, 503: outcomeFailed, 0: outcomeFailed} {
		if got := outcomeOfStatus(status); got != want || !slices.Contains(refusals, got) {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}
