//go:build !js

package main

import (
	"strings"
	"testing"
)

// Two members talk alone over a session: a third one and the relay learn nothing of it.
func TestPrivateMessages(t *testing.T) {
	w := startRelay(t)
	ann, bob, carol := joins(t, w.url, "ann"), joins(t, w.url, "bob"), joins(t, w.url, "carol")
	meet(ann, bob, carol)
	ann.types("/msg bob only you can read this \x1b[2J")
	bob.sees(`ann (privately): only you can read this \x1b[2J`)
	ann.sees("* bob has your private message")
	bob.types("/msg ann and only you this")
	ann.sees("bob (privately): and only you this")
	bob.sees("* ann has your private message")
	ann.types("now all")
	carol.sees("ann: now all")
	if strings.Contains(carol.out.String(), "privately") {
		t.Errorf("carol saw\n%s", carol.out)
	}
	w.mustNotHold(t, "only you", "now all")
}

// Both begin at once, and all is said once and in order.
func TestPrivateMessagesCross(t *testing.T) {
	w := startRelay(t)
	ann, bob := joins(t, w.url, "ann"), joins(t, w.url, "bob")
	meet(ann, bob)
	for _, text := range []string{"one", "two", "three"} {
		ann.types("/msg bob from ann: " + text)
		bob.types("/msg ann from bob: " + text)
	}
	for _, text := range []string{"one", "two", "three"} {
		ann.sees("bob (privately): from bob: " + text)
		bob.sees("ann (privately): from ann: " + text)
	}
	for _, u := range []*user{ann, bob} {
		if n := strings.Count(u.out.String(), "(privately)"); n != 3 {
			t.Errorf("%s got %d private messages:\n%s", u.name, n, u.out)
		}
	}
}

// A private message that is written while the relay is gone arrives when it is back.
func TestPrivateMessageOutlivesTheRelay(t *testing.T) {
	w := startRelay(t)
	ann, bob := joins(t, w.url, "ann"), joins(t, w.url, "bob")
	meet(ann, bob)
	ann.types("/msg bob before")
	bob.sees("ann (privately): before")
	ann.sees("bob has your private message")
	w.goesDown(t)
	ann.sees("the relay is gone")
	bob.sees("the relay is gone")
	ann.types("/msg bob meanwhile")
	w.comesUp(t)
	bob.sees("ann (privately): meanwhile")
	ann.sees("bob has your private message")
	bob.types("/msg ann after")
	ann.sees("bob (privately): after")
}

// Private messages go to admitted members and to nobody else, and come from no others.
func TestPrivateMessagesNeedAdmission(t *testing.T) {
	w := startRelay(t)
	ann, bob := joins(t, w.url, "ann"), joins(t, w.url, "bob")
	ann.waitsFor(bob)
	bob.waitsFor(ann)
	ann.types("/msg bob too early")
	ann.sees("! not sent to bob: not admitted")
	ann.types("/msg dave anybody?")
	ann.sees("! not sent to dave: nobody here has this name")
	ann.types(`/msg "dave jones" anybody?`)
	ann.sees(`! not sent to "dave jones": nobody here has this name`)
	for _, line := range []string{"/msg", "/msg bob", `/msg "bob"`, `/msg "" x`} {
		ann.types(line)
		ann.sees("! to whom, and what?")
	}
	ann.admits(bob) // but bob has not admitted ann
	ann.types("/msg bob too early still")
	ann.sees("! your private message did not go to bob, who has not admitted you")
	if strings.Contains(bob.out.String(), "too early") {
		t.Errorf("bob saw\n%s", bob.out)
	}
	w.mustNotHold(t, "too early")
}

func TestCutName(t *testing.T) {
	for line, want := range map[string][2]string{
		"bob hello there":       {"bob", "hello there"},
		"bob   hello":           {"bob", "hello"},
		`"bob b" hello "there"`: {"bob b", `hello "there"`},
		`"bob`:                  {"bob", ""},
		"bob":                   {"bob", ""},
		"":                      {"", ""},
	} {
		if name, rest := cutName(line); name != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", line, name, rest)
		}
	}
}
