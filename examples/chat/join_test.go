//go:build !js

package main

import (
	"github.com/hopseal/hopseal/keys/keystore"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThreeTalkAndTheRelayReadsNothing(t *testing.T) {
	w := startRelay(t)
	anna, bob, carol := joins(t, w.url, "anna"), joins(t, w.url, "bob"), joins(t, w.url, "carol")
	meet(anna, bob, carol)
	said := map[*user]string{anna: "the harvest is in", bob: "meet at the quay, nine sharp", carol: "bring ünïcode 🚢"}
	for who, text := range said {
		who.types(text)
		who.sees("sent, sealed to 2 members")
		for _, other := range []*user{anna, bob, carol} {
			if other != who {
				other.sees(who.name + ": " + text)
			}
		}
	}
	w.mustNotHold(t, said[anna], said[bob], said[carol], "harvest", "quay", "🚢")
}

// Nothing leaves the client for a member whom its user did not admit.
func TestNothingIsSealedToStrangers(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	anna.waitsFor(bob)
	anna.types("anybody there?")
	anna.sees("not sent: nobody here is admitted")
	w.mustNotHold(t, "anybody there?")
	if n := len(w.frames); n != 2 { // the two joins
		t.Errorf("%d frames passed the relay, want 2", n)
	}
}

// One side may admit first: the other reads once it does too.
func TestMessagesWaitForAdmission(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	anna.waitsFor(bob)
	anna.admits(bob)
	anna.types("first")
	bob.sees("anna wrote; it waits until you admit anna")
	anna.types("second")
	bob.sees("anna wrote; 2 messages wait")
	bob.admits(anna)
	bob.sees("anna: first")
	bob.sees("anna: second")
	bob.types("got both")
	anna.sees("bob: got both")
}

func TestMessageForOthersIsSaidSo(t *testing.T) {
	w := startRelay(t)
	anna, bob, carol := joins(t, w.url, "anna"), joins(t, w.url, "bob"), joins(t, w.url, "carol")
	meet(anna, bob)
	carol.waitsFor(anna)
	carol.admits(anna)
	anna.types("between us")
	bob.sees("anna: between us")
	carol.sees("anna wrote something that is not sealed to you")
	w.mustNotHold(t, "between us")
}

func TestNamesAndMessagesCannotActOnTheTerminalA47(t *testing.T) {
	w := startRelay(t)
	evil := "<img src=x>\x1b[2J\u202e\nbob: hi"
	anna, eve := joins(t, w.url, "anna"), joins(t, w.url, evil)
	anna.waitsFor(eve)
	meet(anna, eve)
	eve.types("\x1b]0;owned\x07 <b>bold</b> \u202egnp.exe \u2066x")
	line := anna.sees(`\x1b]0;owned\a <b>bold</b> \u202egnp.exe \u2066x`)
	if want := `"<img src=x>\x1b[2J\u202e\nbob: hi": `; !strings.HasPrefix(line, want) {
		t.Errorf("printed %q, want it to start with %q", line, want)
	}
	eve.leaves()
	anna.sees("left")
	for _, bad := range []string{"\x1b", "\u202e", "\u2066", "\x07", "\nbob: "} {
		if strings.Contains(anna.out.String(), bad) {
			t.Errorf("the terminal got %q:\n%q", bad, anna.out)
		}
	}
}

// A name cannot be made to look like what the client itself prints.
func TestForeignNamesAreToldFromNoticesA47(t *testing.T) {
	for _, name := range []string{"*", "* bob is here, admitted", "!", "", " ", "bob: hello", "a\u3164b", `"anna"`, "fp1 aaaa"} {
		if shown := shownName(name); !strings.HasPrefix(shown, `"`) || !strings.HasSuffix(shown, `"`) {
			t.Errorf("name %q is shown as %s, without quotes", name, shown)
		}
	}
	for _, name := range []string{"anna", "Jürgen", "bob-2", "李雷", "a.b_c"} {
		if shown := shownName(name); shown != name {
			t.Errorf("name %q is shown as %s", name, shown)
		}
	}
}

func TestHopView(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	anna.types("/hop")
	anna.sees("the relay has seen no message yet")
	meet(anna, bob)
	anna.types("under seal")
	bob.sees("anna: under seal")
	for _, u := range []*user{anna, bob} {
		u.types("/hop")
		u.sees("What the relay saw", "for the room lobby")
		u.sees("sender", anna.fingerprint())
		u.sees("content type", "text/plain; charset=utf-8")
		u.sees("context", "chat room lobby")
		u.sees("sealed to", "1: keys ")
		u.sees("text", "hidden")
		u.sees("header,", "(clear)")
		u.sees("recipients,")
		u.sees("… ", " more")
		u.sees("body,", "(sealed)")
		u.sees("proof, 64 bytes (signature)")
	}
}

func TestCommands(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	anna.waitsFor(bob)
	anna.types("/help")
	anna.sees("/admit NAME")
	anna.types("/nonsense")
	anna.sees("! there is no command /nonsense")
	anna.types("/members")
	anna.sees("bob", "not admitted", bob.fingerprint())
	anna.types("/admit nobody")
	anna.sees("! not admitted: nobody here has this name")
	anna.types("/admit fp1 aaaa")
	anna.sees("too little of a fingerprint")
	anna.types("/admit fp1 aaaa aaaa aaaa")
	anna.sees("nobody here has a fingerprint that starts so")
	anna.types("/admit bob")
	anna.sees("bob is admitted")
	anna.types("/members")
	anna.sees("bob", "  admitted")
	bob.waitsFor(anna)
	bob.types("/admit anna")
	bob.sees("anna is admitted")
	anna.types("//help is a command")
	bob.sees("anna: /help is a command")
	anna.types(strings.Repeat("x", maxText+1))
	anna.sees("! not sent: a message has at most 16384 bytes")
	anna.types("/quit")
	if code, errors := anna.ends(); code != 0 || errors != "" {
		t.Errorf("quit with %d, %q", code, errors)
	}
	bob.sees("anna left")
}

// A room starts and ends with its name: what is said in one is not heard, and
// nobody is trusted, in another.
func TestRoomsAreApart(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	carol := starts(t, "carol", "join", "-name", "carol", "-room", "cellar", w.url)
	carol.sees("in room cellar, 0 other members")
	meet(anna, bob)
	anna.types("upstairs only")
	bob.sees("anna: upstairs only")
	if strings.Contains(carol.out.String(), "anna") {
		t.Errorf("the other room hears of anna:\n%s", carol.out)
	}
}

func TestIdentityFileKeepsFingerprintAndAdmissions(t *testing.T) {
	w := startRelay(t)
	file := filepath.Join(t.TempDir(), "anna.key")
	again := func() *user {
		t.Helper()
		u := startsWith(t, "anna", testPassphrase, "join", "-room", "lobby", "-name", "anna", w.url, "-identity", file)
		u.sees("in room")
		return u
	}
	bob := joins(t, w.url, "bob")
	anna := again()
	before := anna.fingerprint()
	anna.waitsFor(bob)
	anna.admits(bob)
	anna.leaves()
	bob.sees("anna left")

	anna = again()
	if anna.fingerprint() != before {
		t.Errorf("the fingerprint changed from %s to %s", before, anna.fingerprint())
	}
	anna.sees("bob is here, admitted")
	bob.sees("anna is here, not admitted")
	for _, name := range []string{file, file + replaySuffix} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", name, info, err)
		}
	}
	bob.admits(anna)
	anna.types("back again")
	bob.sees("anna: back again")
	bob.types("good to see you")
	anna.sees("bob: good to see you")
	if b, err := os.ReadFile(file + replaySuffix); err != nil || len(b) < 60 {
		t.Errorf("what was opened is not kept: %d bytes, %v", len(b), err)
	}
}

const testPassphrase = "upriver lagoon cassette mulberry trombone"

func TestAccountErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "anna.key")
	a, err := createAccount(file, "anna", keystore.Passphrase([]byte(testPassphrase)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.key")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	write(t, damaged, b, 0o600)
	write(t, filepath.Join(dir, "text.key"), []byte("hello"), 0o600)
	write(t, filepath.Join(dir, "open.key"), b, 0o644)

	for name, test := range map[string]struct {
		passphrase, file, as, want string
	}{
		"wrong passphrase": {"battery staple", file, "anna", "wrong passphrase: try again"},
		"damaged file":     {testPassphrase, damaged, "anna", "damaged: restore it from a backup"},
		"not a key file":   {testPassphrase, filepath.Join(dir, "text.key"), "anna", "damaged: restore it from a backup"},
		"weak passphrase":  {"tr0ub4dor", filepath.Join(dir, "weak.key"), "anna", "choose five or more random words"},
		"open to others":   {testPassphrase, filepath.Join(dir, "open.key"), "anna", "chmod 600"},
		"other name":       {testPassphrase, file, "bob", "is the identity of anna: leave out -name"},
		"no passphrase":    {"", file, "anna", "set HOPSEAL_PASSPHRASE"},
		"no folder":        {testPassphrase, filepath.Join(dir, "none", "anna.key"), "anna", "is the folder there"},
	} {
		t.Run(name, func(t *testing.T) {
			u := startsWith(t, "anna", test.passphrase, "join", "-name", test.as, "-room", "lobby", "-identity", test.file, "http://127.0.0.1:1")
			failsWith(t, u, 1, test.want)
		})
	}
}

func write(t *testing.T, name string, b []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, b, mode); err != nil {
		t.Fatal(err)
	}
}

// failsWith checks the exit code, and that there is exactly one line that says
// what is wrong.
func failsWith(t *testing.T, u *user, code int, want string) {
	t.Helper()
	got, line := u.ends()
	if got != code || !strings.Contains(line, want) || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "chat: ") {
		t.Errorf("ended with %d and %q, want %d and one line with %q", got, line, code, want)
	}
}

func TestUnreachableRelay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	u := starts(t, "anna", "join", "-name", "anna", "-room", "lobby", "http://"+listener.Addr().String())
	failsWith(t, u, 1, "nothing listens there: is the server running")
}

func TestNameTaken(t *testing.T) {
	w := startRelay(t)
	joins(t, w.url, "anna")
	u := starts(t, "anna", "join", "-name", "anna", "-room", "lobby", w.url)
	failsWith(t, u, 1, "somebody in room lobby is called anna already: choose another -name")
}

func TestCommandLineErrors(t *testing.T) {
	for want, args := range map[string][]string{
		"-room ROOM":              {"join", "-name", "anna", "http://127.0.0.1:1"},
		"-name NAME":              {"join", "-room", "lobby", "http://127.0.0.1:1"},
		"wants one URL":           {"join", "-room", "lobby", "-name", "anna"},
		"not a URL":               {"join", "-room", "lobby", "-name", "anna", "lobby"},
		"-help lists":             {"join", "-colour"},
		"there is no command":     {"serve"},
		"at most 64 bytes":        {"join", "-room", "lobby", "-name", strings.Repeat("ä", 33), "http://127.0.0.1:1"},
		"at most 128 bytes":       {"join", "-room", strings.Repeat("ä", 65), "-name", "anna", "http://127.0.0.1:1"},
		"flag needs an argument:": {"join", "-room"},
	} {
		failsWith(t, starts(t, want, args...), 2, want)
	}
	for _, args := range [][]string{{"-help"}, {"join", "-h"}} {
		u := starts(t, "help", args...)
		if code, _ := u.ends(); code != 0 || !strings.Contains(u.out.String(), "usage: chat") {
			t.Errorf("%v ended with %d and %q", args, code, u.out)
		}
	}
}

func TestRelayURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://127.0.0.1:8090":             "ws://127.0.0.1:8090/relay",
		"http://127.0.0.1:8090/#room=lobby": "ws://127.0.0.1:8090/relay",
		"https://chat.example/":             "wss://chat.example/relay",
		"ws://127.0.0.1:8090/relay":         "ws://127.0.0.1:8090/relay",
		"wss://chat.example/hub?token=1":    "wss://chat.example/hub?token=1",
	} {
		if got, err := relayURL(raw); got != want || err != nil {
			t.Errorf("relayURL(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
}

// Ctrl-C ends the client at once, in a line of its own or not.
func TestInterrupt(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	bob.waitsFor(anna)
	anna.cancel()
	if code, errors := anna.ends(); code != 0 || errors != "" {
		t.Errorf("ended with %d, %q", code, errors)
	}
	bob.sees("anna left")
}

// The client comes back when the relay does, and nobody has to be admitted anew.
func TestReconnect(t *testing.T) {
	w := startRelay(t)
	anna, bob := joins(t, w.url, "anna"), joins(t, w.url, "bob")
	meet(anna, bob)
	w.goesDown(t)
	for _, u := range []*user{anna, bob} {
		u.sees("the relay is gone", "trying again")
		u.types("lost")
		u.sees("! not sent: the relay is gone")
	}
	w.comesUp(t)
	anna.sees("in room lobby")
	bob.sees("in room lobby")
	anna.sees("bob is here, admitted")
	bob.sees("anna is here, admitted")
	anna.types("found")
	bob.sees("anna: found")
	w.mustNotHold(t, "lost", "found")
}
