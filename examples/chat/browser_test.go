//go:build !js

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/internal/wasmbuild"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// npm returns the folder of the npm package, built if need be.
func npm(t *testing.T) string {
	t.Helper()
	built, err := wasmbuild.Build(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return built.Dir
}

// A visitor uses the page.
type visitor struct {
	*chromium.Page
	name, room string
}

// visits opens the page in a browser and joins room lobby.
func visits(b *chromium.Browser, url, name string) *visitor {
	return visitsRoom(b.Open(url), name, "lobby")
}

func visitsRoom(p *chromium.Page, name, room string) *visitor {
	v := &visitor{p, name, room}
	v.enters()
	v.WaitFor(`!document.getElementById("room").hidden && document.getElementById("status").dataset.state === "connected"`)
	return v
}

// enters fills the door's form and sends it.
func (v *visitor) enters() {
	v.Run(fmt.Sprintf(`(() => {
		document.getElementById("name").value = %q;
		document.getElementById("room-name").value = %q;
	})()`, v.name, v.room))
	v.Click("#enter")
}

func (v *visitor) says(text string) {
	v.Type("#text", text)
	v.Click("#composer button")
	v.sees("You", text)
}

// sees waits for a message.
func (v *visitor) sees(who, text string) {
	v.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(".message")].some((m) =>
		m.querySelector(".who").textContent === %q && m.querySelector(".bubble").textContent === %q)`, who, text))
}

// isTold waits for so many notices of a category.
func (v *visitor) isTold(category string, times int) {
	v.WaitFor(fmt.Sprintf(`document.querySelectorAll('.notice[data-category=%q]').length === %d`, category, times))
}

// fingerprint returns the visitor's own.
func (v *visitor) fingerprint() string {
	return chromium.Eval[string](v.Page, `document.querySelector(".member.you .fingerprint").textContent`)
}

const card = `[...document.querySelectorAll(".member")].find((m) => m.querySelector(".fingerprint").textContent === %q)`

// stands waits until the member with a fingerprint is in a state.
func (v *visitor) stands(fingerprint, state string) {
	v.WaitFor(fmt.Sprintf(card+`?.dataset.state === %q`, fingerprint, state))
}

// admits compares and admits the member with that fingerprint.
func (v *visitor) admits(fingerprint string) {
	v.WaitFor(fmt.Sprintf(`!!`+card+`?.querySelector(".admit")`, fingerprint))
	v.Run(fmt.Sprintf(card+`.querySelector(".admit").click()`, fingerprint))
	v.WaitFor(fmt.Sprintf(`document.querySelector(".compare .fingerprint")?.textContent === %q`, fingerprint))
	v.Click(".compare .yes")
	v.stands(fingerprint, "admitted")
	v.WaitFor(`!document.querySelector(".compare")`)
}

// readersAre waits for what the page says of who reads.
func (v *visitor) readersAre(text string) {
	v.WaitFor(fmt.Sprintf(`document.getElementById("readers").textContent === %q`, text))
}

func TestTwoPagesAndATerminalTalk(t *testing.T) {
	b := chromium.New(t)
	w := startWire(t, npm(t), func(w *wire) http.Handler { return w })
	anna, bob, carol := visits(b.Isolated(), w.url, "anna"), visits(b.Isolated(), w.url, "bob"), joins(t, w.url, "carol")

	// Nobody is admitted: nothing leaves the page.
	anna.readersAre("Nobody here is admitted: nothing can be sent.")
	anna.Type("#text", "too early\n")
	anna.readersAre("Nobody here is admitted, so nothing was sent. Compare fingerprints, then admit.")
	anna.Run(`(() => { document.getElementById("text").value = "" })()`)

	anna.admits(bob.fingerprint())
	anna.says("for bob alone")
	bob.isTold("waiting", 1)
	bob.admits(anna.fingerprint())
	bob.sees("anna", "for bob alone")

	anna.admits(carol.fingerprint())
	bob.admits(carol.fingerprint())
	for _, v := range []*visitor{anna, bob} {
		carol.types("/admit " + v.fingerprint())
		carol.sees(v.name + " is admitted")
	}
	anna.readersAre("Sealed to bob, carol, and to nobody else.")

	anna.says("anna to all: the harvest is in")
	bob.says("bob to all: meet at the quay")
	carol.sees("anna: anna to all: the harvest is in")
	carol.sees("bob: bob to all: meet at the quay")
	carol.types("carol to all: bring ünïcode 🚢")
	carol.sees("sealed to 2 members")
	bob.sees("anna", "anna to all: the harvest is in")
	anna.sees("bob", "bob to all: meet at the quay")
	anna.sees("carol", "carol to all: bring ünïcode 🚢")
	bob.sees("carol", "carol to all: bring ünïcode 🚢")
	w.mustNotHold(t, "too early", "for bob alone", "harvest", "quay", "🚢", "to all")

	// Beside each message stands what the relay saw, and the text is not in it.
	anna.WaitFor(`document.querySelectorAll(".message").length === document.querySelectorAll(".row:not(.notice) .hop-view").length`)
	anna.WaitFor(`document.querySelectorAll(".hop-view[open]").length === 1`)
	hop := chromium.Eval[string](anna.Page, `document.querySelector(".hop-view[open]").textContent`)
	for _, want := range []string{"chat room lobby", "text/plain; charset=utf-8", "sealed to 2 keys", "hidden"} {
		if !strings.Contains(hop, want) {
			t.Errorf("the hop view does not show %q:\n%s", want, hop)
		}
	}
	if strings.Contains(hop, "harvest") || strings.Contains(hop, "quay") {
		t.Errorf("the hop view shows the text:\n%s", hop)
	}

	// Keys and admissions survive a reload.
	before := anna.fingerprint()
	anna.Reload()
	anna.enters()
	anna.WaitFor(`!document.getElementById("room").hidden`)
	if after := anna.fingerprint(); after != before {
		t.Errorf("the fingerprint changed from %s to %s", before, after)
	}
	anna.stands(bob.fingerprint(), "admitted")
	anna.stands(carol.fingerprint(), "admitted")
	bob.stands(before, "admitted")
	bob.readersAre("Sealed to carol, anna, and to nobody else.")
	bob.says("welcome back")
	anna.sees("bob", "welcome back")
	anna.says("it is good to be back")
	bob.sees("anna", "it is good to be back")
	carol.sees("anna: it is good to be back")
}

func TestPageShowsHostileTextAsTextA47(t *testing.T) {
	b := chromium.New(t)
	w := startWire(t, npm(t), func(w *wire) http.Handler { return w })
	anna := visits(b.Isolated(), w.url, "anna")
	evil := "<img src=x onerror=pwned()>\u202e\n\x1b[2J"
	eve := joins(t, w.url, evil)
	anna.admits(eve.fingerprint())
	eve.waitsAndAdmits(anna.fingerprint())
	eve.types("<script>pwned()</script> <img src=x onerror=pwned()> \x1b[31m \u202egnp.exe \u2066")

	shownName, shownText := `<img src=x onerror=pwned()>\u{202e}\n\u{1b}[2J`, `<script>pwned()</script> <img src=x onerror=pwned()> \u{1b}[31m \u{202e}gnp.exe \u{2066}`
	anna.sees(shownName, shownText)
	if n := chromium.Eval[int](anna.Page, `document.querySelectorAll("#room img:not([src='icon.svg']), #room script, #room b").length`); n != 0 {
		t.Errorf("foreign text made %d elements", n)
	}
	if chromium.Eval[bool](anna.Page, `/[\u202a-\u202e\u2066-\u2069\u001b]/.test(document.body.textContent)`) {
		t.Error("a control character is on the page")
	}
	for _, part := range []string{".who .foreign", ".bubble .foreign", ".member-name .foreign"} {
		if !chromium.Eval[bool](anna.Page, fmt.Sprintf(`[...document.querySelectorAll(%q)].every((e) => e.dir === "auto" && getComputedStyle(e).unicodeBidi === "isolate")`, part)) {
			t.Errorf("%s is not isolated", part)
		}
	}
	// What a page sends with line feeds keeps them, as text.
	anna.Run(`(() => { document.getElementById("text").value = "one\n<b>two</b>"; document.getElementById("composer").requestSubmit() })()`)
	eve.sees(`anna: one\n<b>two</b>`)
	anna.sees("You", "one\n<b>two</b>")
}

// What strangers can make the page keep is bounded, and nobody admits what is no
// valid identity, whatever asks for it.
func TestPageBoundsWhatWaits(t *testing.T) {
	a := startAttackerBeside(t, npm(t))
	anna := visits(chromium.New(t).Isolated(), a.url, "anna")
	writes := func(id byte, payload []byte) {
		a.injects(t, "anna", relay.Message{Topic: "lobby", From: relay.MemberID{id}, Payload: payload})
	}
	const strangers, each = maxWaitingAll / maxWaitingSize, 4
	for id := range byte(strangers + 1) {
		name := fmt.Sprint("stranger ", id)
		presence := newIdentity(t, name).Public().Bytes()
		a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: relay.MemberID{id}, Name: name, Presence: presence}})
		for range each {
			if id < strangers {
				writes(id, make([]byte, maxWaitingSize/each))
			}
		}
	}
	anna.isTold("waiting", strangers) // each of them wrote, and nothing was dropped
	writes(strangers, []byte{1})
	anna.WaitFor(`[...document.querySelectorAll(".notice")].some((n) => n.textContent.includes("too many wait"))`)

	refusal := chromium.Eval[string](anna.Page, `(async () => {
		const { Room } = await import("./room.js");
		const room = new Room({ name: "lobby", account: {}, emit() {} });
		return room.admit({ name: "eve", problem: "It uses your name." }).then(() => "admitted", (error) => error.message);
	})()`)
	if refusal != "It uses your name." {
		t.Errorf("admitting a member with a problem: %q", refusal)
	}
}

// waitsAndAdmits admits a member of whom only the fingerprint is known.
func (u *user) waitsAndAdmits(fingerprint string) {
	u.t.Helper()
	u.shows(fingerprint)
	u.types("/admit " + fingerprint)
	u.sees("is admitted")
}

// A relay that damages, repeats, forges and swaps is noticed on every page and in
// the terminal, and no message is lost.
func TestPagesNoticeAHostileRelayA15(t *testing.T) {
	b := chromium.New(t)
	a := startAttackerBeside(t, npm(t))
	carols := accountOf(t, "carol")
	anna, bob, carol := visits(b.Isolated(), a.url, "anna"), visits(b.Isolated(), a.url, "bob"), joinsAs(t, a.wire, carols, "lobby")
	anna.admits(bob.fingerprint())
	anna.admits(carol.fingerprint())
	bob.admits(anna.fingerprint())
	bob.admits(carol.fingerprint())
	for _, v := range []*visitor{anna, bob} {
		carol.types("/admit " + v.fingerprint())
		carol.sees(v.name + " is admitted")
	}

	a.attacksMessages(func(_ string, m relay.Message) []relay.Message {
		short, foreign := m, m
		short.Payload = m.Payload[:len(m.Payload)-10]
		foreign.From = relay.MemberID{1}
		return []relay.Message{flipped(m, "body"), short, foreign, m, m}
	})
	categories := []string{"proof", "malformed", "foreign", "replay"}
	for _, v := range []*visitor{anna, bob} {
		v.says("from " + v.name)
		carol.sees("[proof]")
		carol.sees("[malformed]")
		carol.sees("[foreign]")
		carol.sees(v.name + ": from " + v.name)
		carol.sees("[replay]")
	}
	carol.types("from carol")
	anna.sees("bob", "from bob")
	anna.sees("carol", "from carol")
	bob.sees("anna", "from anna")
	bob.sees("carol", "from carol")
	for _, v := range []*visitor{anna, bob} {
		for _, category := range categories {
			v.isTold(category, 2)
		}
		if n := chromium.Eval[int](v.Page, `document.querySelectorAll(".message").length`); n != 3 {
			t.Errorf("%s sees %d messages, want 3", v.name, n)
		}
	}
	a.attacks(nil)

	// A genuine message of carol's, from another room.
	moved := a.last()
	moved.Payload = sealTo(t, &room{name: "cellar", me: carols.identity}, "moved", publicOf(t, a, "anna"))
	a.injects(t, "anna", moved)
	anna.isTold("context", 1)

	// A member that the relay makes up, and another key under an admitted name.
	bobs := bob.fingerprint()
	bob.Click("#leave")
	mallory, false_ := a.identity, newIdentity(t, "bob")
	for i, id := range []*keys.Identity{mallory, false_} {
		m := relay.Member{ID: relay.MemberID{byte(i + 2)}, Name: id.Name(), Presence: id.Public().Bytes()}
		a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: m})
	}
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: relay.MemberID{4}, Name: "nobody", Presence: []byte("x")}})
	anna.stands(grouped(mallory.Fingerprint()), "unknown")
	anna.stands(grouped(false_.Fingerprint()), "changed")
	anna.isTold("changed", 1)
	anna.WaitFor(`!!document.querySelector('.member[data-state="invalid"]')`)
	anna.WaitFor(fmt.Sprintf(`document.querySelector('.member[data-state="changed"] .member-note').textContent.includes(%q)`, bobs))
	anna.readersAre("Sealed to carol, and to nobody else.")
	if dir := os.Getenv("HOPSEAL_SCREENSHOTS"); dir != "" {
		anna.SetSize(1440, 900)
		anna.Screenshot(filepath.Join(dir, "hostile.png"))
	}
	anna.says("for carol alone")
	carol.sees("anna: for carol alone")
	a.readsNothing(t, publicOf(t, a, "anna"), publicOf(t, a, "bob"), publicOf(t, a, "carol"))
	a.identity = false_
	a.readsNothing(t, publicOf(t, a, "anna"), publicOf(t, a, "bob"), publicOf(t, a, "carol"))
}

// The page leaves a room completely, and can be somebody else in another.
func TestLeaveAndJoinAgain(t *testing.T) {
	b := chromium.New(t)
	w := startWire(t, npm(t), func(w *wire) http.Handler { return w })
	carol := joins(t, w.url, "carol")
	anna := visits(b.Isolated(), w.url, "anna")
	carol.sees("anna is here")
	anna.Click("#leave")
	carol.sees("anna left")
	anna.name, anna.room = "annika", "cellar"
	before := anna.fingerprint()
	anna.enters()
	anna.WaitFor(`document.getElementById("title").textContent === "cellar" && !document.getElementById("room").hidden`)
	if n := chromium.Eval[int](anna.Page, `document.querySelectorAll(".member").length`); n != 1 || anna.fingerprint() == before {
		t.Errorf("%d members, fingerprint %s, before %s", n, anna.fingerprint(), before)
	}
	anna.WaitFor(`document.getElementById("status").textContent === "Connected"`)
}

func TestPageSaysWhatToDo(t *testing.T) {
	b := chromium.New(t)
	w := startWire(t, npm(t), func(w *wire) http.Handler { return w })
	home := b.Isolated()
	anna := visits(home, w.url, "anna")

	// The same name in another tab of the same browser.
	tab := &visitor{home.Open(w.url), "anna", "lobby"}
	tab.enters()
	tab.reports("anna is open in another tab of this browser. Go there, or choose another name.")

	// The same name in somebody else's browser.
	other := &visitor{b.Isolated().Open(w.url), "anna", "lobby"}
	other.enters()
	other.reports("Somebody in this room is called anna already. Choose another name, or close your other window.")

	// Names that are too long count in bytes.
	other.name = strings.Repeat("ä", 33)
	other.enters()
	other.reports("Your name is too long: at most 64 bytes. Choose a shorter one.")

	// No place to keep keys: said so, and gone on with when the user says so.
	bare := &visitor{b.Isolated().Open(w.url), "dora", "lobby"}
	bare.Run(`(() => { Object.defineProperty(crypto, "subtle", { value: undefined }) })()`)
	bare.enters()
	bare.WaitFor(`document.getElementById("trouble").textContent.includes("This browser keeps no keys for this page")`)
	bare.Click("#without-store")
	bare.WaitFor(`!document.getElementById("room").hidden`)

	// The relay goes: said so; comes back: so is everybody.
	anna.admits(bare.fingerprint())
	bare.admits(anna.fingerprint())
	for _, v := range []*visitor{anna, bare, tab} {
		v.ExpectErrors("WebSocket connection to", "503")
	}
	w.goesDown(t)
	for _, v := range []*visitor{anna, bare} {
		v.WaitFor(`document.getElementById("status").textContent.startsWith("The relay is gone. Trying again in")`)
	}
	tab.name = "emil"
	tab.enters()
	tab.reports("The relay does not answer. Is \u201cgo run ./examples/chat\u201d still running?")
	anna.Type("#text", "lost\n")
	anna.readersAre("Not sent: the relay is gone. Send it again once it is back.")
	w.comesUp(t)
	for _, v := range []*visitor{anna, bare} {
		v.WaitFor(`document.getElementById("status").dataset.state === "connected"`)
	}
	anna.stands(bare.fingerprint(), "admitted")
	bare.stands(anna.fingerprint(), "admitted")
	anna.WaitFor(`document.getElementById("text").value.trim() === "lost"`) // what was not sent is kept
	anna.Click("#composer button")
	bare.sees("anna", "lost")
	w.mustNotHold(t, "lost")
}

func (v *visitor) reports(text string) {
	v.WaitFor(fmt.Sprintf(`!document.getElementById("trouble").hidden && document.querySelector("#trouble p").textContent === %q`, text))
}

// TestScreenshots writes what the page looks like into the folder that
// HOPSEAL_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("HOPSEAL_SCREENSHOTS")
	if dir == "" {
		t.Skip("HOPSEAL_SCREENSHOTS names no folder")
	}
	b := chromium.New(t)
	w := startWire(t, npm(t), func(w *wire) http.Handler { return w })
	var all []*visitor
	for _, name := range []string{"anna", "bob", "carol"} {
		p := b.Isolated().NewPage()
		p.SetSize(1440, 900)
		if name == "bob" {
			p.SetSize(390, 844)
		}
		p.Navigate(w.url)
		all = append(all, visitsRoom(p, name, "harbour office"))
	}
	anna, bob, carol := all[0], all[1], all[2]
	bob.Run(`(() => { document.getElementById("members").open = true })()`)
	for _, v := range all {
		for _, other := range all {
			if v != other {
				v.admits(other.fingerprint())
			}
		}
	}
	for _, line := range []struct {
		who  *visitor
		text string
	}{
		{anna, "Morning. Did the customs papers for the Aurora arrive?"},
		{bob, "Yes, stamped last night. 412 containers, two of them refrigerated."},
		{anna, "Good. Then the offer stays at 2.3 million, and nobody hears of it before Thursday."},
		{carol, "Thursday it is. I call the bank at ten."},
	} {
		line.who.says(line.text)
		for _, v := range all {
			if v != line.who {
				v.sees(line.who.name, line.text)
			}
		}
	}
	bob.Run(`(() => {
		document.getElementById("members").open = false;
		document.querySelector(".row:nth-last-child(3) .hop-view").open = true;
	})()`)
	door := b.Isolated().Open(w.url)
	for _, shot := range []struct {
		name          string
		page          *chromium.Page
		width, height int
		dark          bool
	}{
		{"chat", anna.Page, 1440, 900, false},
		{"chat-dark", anna.Page, 1440, 900, true},
		{"chat-narrow", bob.Page, 390, 844, false},
		{"chat-narrow-dark", bob.Page, 390, 844, true},
		{"door", door, 1440, 900, false},
		{"door-narrow-dark", door, 390, 844, true},
	} {
		shot.page.SetSize(shot.width, shot.height)
		shot.page.SetDark(shot.dark)
		shot.page.Run(`(async () => {
			document.activeElement.blur();
			const log = document.getElementById("log");
			log.scrollTop = log.scrollHeight;
			await Promise.all(document.getAnimations().map((a) => a.finished));
		})()`)
		shot.page.Screenshot(filepath.Join(dir, shot.name+".png"))
	}
}

// A page elsewhere can have its name lead to this machine once it is loaded, and is then
// of the chat's own origin for the browser (DNS rebinding).
func TestA43APageOfAForeignNameCannotJoin(t *testing.T) {
	b := chromium.New(t, "evil.example")
	w := startRelay(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(w.url, "http://"), ":")
	for host, want := range map[string]string{"evil.example": "refused", "localhost": "open"} {
		page := b.NewPage()
		page.ExpectErrors("WebSocket connection to 'ws://evil.example", "status of 404", "Cross-Origin-Opener-Policy header has been ignored")
		page.Navigate("http://" + host + ":" + port + "/favicon.ico") // the origin is what counts
		got := chromium.Eval[string](page, `new Promise(done => {
			const socket = new WebSocket("ws://" + location.host + "/relay")
			socket.onopen = () => { done("open"); socket.close() }
			socket.onerror = () => done("refused")
		})`)
		if got != want {
			t.Errorf("a page of %s: %s, want %s", host, got, want)
		}
	}
}
