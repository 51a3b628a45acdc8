package e2e

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// A33: each address has its own bound, so that one of them cannot use up the whole.
func TestA33LobbyBoundsEachAddress(t *testing.T) {
	l := lobby{most: 6, mostPerAddress: 3}
	evicted := func(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errEvicted) }
	enter := func(remote string) context.Context {
		ctx, _ := l.enter(context.Background(), remote)
		return ctx
	}
	quiet := enter("192.0.2.1:1000")
	var flood []context.Context
	for range 20 {
		flood = append(flood, enter("192.0.2.2:1"))
	}
	if evicted(quiet) {
		t.Error("one address pushed out another")
	}
	for i, ctx := range flood {
		if evicted(ctx) != (i < 17) {
			t.Errorf("guest %d: evicted %v", i, evicted(ctx))
		}
	}
	// From many addresses the whole is bounded, and the longest wait ends first.
	for _, remote := range []string{"192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1"} {
		enter(remote)
	}
	if !evicted(quiet) || len(l.guests) != 6 {
		t.Errorf("%d guests; the first is still there: %v", len(l.guests), !evicted(quiet))
	}
}

func TestLobbyLeave(t *testing.T) {
	l := lobby{most: 2, mostPerAddress: 2}
	first, leaveFirst := l.enter(context.Background(), "")
	second, leaveSecond := l.enter(context.Background(), "")
	leaveFirst()
	leaveFirst() // twice does no harm
	l.enter(context.Background(), "")
	if second.Err() != nil {
		t.Error("somebody was pushed out although there was room")
	}
	if first.Err() == nil {
		t.Error("leaving does not release the context")
	}
	why := errors.New("closing")
	l.close(why)
	if context.Cause(second) != why || len(l.guests) != 0 {
		t.Errorf("after close: %v, %d guests", context.Cause(second), len(l.guests))
	}
	leaveSecond()
	late, leaveLate := l.enter(context.Background(), "")
	if context.Cause(late) != why || len(l.guests) != 0 {
		t.Errorf("entered a closed lobby: %v, %d guests", context.Cause(late), len(l.guests))
	}
	leaveLate()
}

func TestAddressOf(t *testing.T) {
	for url, want := range map[string]string{
		"wss://Example.com":            "example.com:443",
		"https://example.com/":         "example.com:443",
		"ws://example.com":             "example.com:80",
		"http://example.com:8080/a/b/": "example.com:8080/a/b",
		"wss://example.com/a?token=x":  "example.com:443/a",
		"wss://[2001:DB8::1]/":         "[2001:db8::1]:443",
		"wss:///a":                     "",
		"::":                           "",
	} {
		got, err := addressOf(url)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", url, got, err, want)
		}
	}
}

// A lobby that is entered and left many times keeps nothing.
func TestLobbyKeepsNothing(t *testing.T) {
	l := lobby{most: 100, mostPerAddress: 10}
	for range 1000 {
		_, leave := l.enter(context.Background(), "192.0.2.1:1")
		leave()
	}
	if len(l.guests) != 0 || slices.ContainsFunc(l.guests[:cap(l.guests)], func(g *guest) bool { return g != nil }) {
		t.Error("guests are left behind")
	}
}
