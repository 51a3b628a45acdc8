//go:build !js

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/chromium"
)

// storePage opens a page with a core, whose timers run window.fast times as fast, and helpers.
func storePage(b *chromium.Browser, url string) *chromium.Page {
	p := open(b, url)
	p.Run(`(() => {
		const { setTimeout } = window;
		window.fast = 1;
		window.setTimeout = (f, ms, ...args) => setTimeout(f, ms / fast, ...args);
		window.database = (name = "hopseal") => new Promise((resolve, reject) => {
			const request = indexedDB.open(name);
			request.onsuccess = () => resolve(request.result);
			request.onerror = () => reject(request.error);
		});
		// all returns what an object store holds, and put replaces it.
		window.all = async (name) => {
			const db = await database();
			const store = db.transaction(name).objectStore(name);
			const requests = [store.getAllKeys(), store.getAll()];
			await new Promise((resolve) => (store.transaction.oncomplete = resolve));
			db.close();
			return requests[0].result.map((key, i) => [key, requests[1].result[i]]);
		};
		window.put = async (name, entries) => {
			const db = await database();
			const store = db.transaction(name, "readwrite").objectStore(name);
			store.clear();
			for (const [key, value] of entries) store.put(value, key);
			await new Promise((resolve) => (store.transaction.oncomplete = resolve));
			db.close();
		};
		window.copy = async () => ({ records: await all("records"), log: await all("log") });
		window.putBack = async ({ records, log }) => (await put("records", records), await put("log", log));
		window.lift = (object, name, value) => {
			const was = object[name];
			object[name] = value;
			return () => (object[name] = was);
		};
		window.kill = (name) => new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve));
	})()`)
	p.Run("start()")
	return p
}

// accounts opens ann, kept, and bob, in memory, who know each other.
const accounts = `(async () => {
	window.ann = await hopseal.openAccount({ record: "ann" });
	window.bob = await hopseal.openAccount({ record: "bob", memory: true });
	await ann.peers.admit(bob.public);
	await bob.peers.admit(ann.public);
	window.letter = (text) => bob.seal(text, { to: ann.public });
	window.read = async (sealed, me = ann) => (await me.open(sealed, { from: bob.public })).text();
})()`

// reloaded opens ann again in this page.
const reloaded = `(async (options) => {
	await ann.close();
	window.ann = await hopseal.openAccount({ record: "ann", ...options });
})`

func TestAStoreThatNeverOpensEndsAndIsFreeAfterwards(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	since := time.Now()
	p.Run(`void (window.fast = 3)`)
	p.Run(`void (window.restore = lift(indexedDB, "open", () => ({})))`)
	wantFailure(t, p, `await hopseal.openStore({ record: "ann" })`, "store-unavailable", "did not open within 5 seconds")
	p.Run(`restore()`)
	p.Run(`void (window.restore = lift(navigator.locks, "request", () => new Promise(() => {})))`)
	wantFailure(t, p, `await hopseal.openStore({ record: "ann" })`, "store-in-use", "another tab")
	p.Run(`restore()`)
	for _, broken := range []struct{ error, code string }{
		{"InvalidStateError", "store-unavailable"}, // private mode of some browsers
		{"SecurityError", "store-unavailable"},     // blocked
		{"QuotaExceededError", "store-full"},
		{"UnknownError", "store-failed"},
		{"VersionError", "store-failed"},
	} {
		p.Run(`void (window.restore = lift(indexedDB, "open", () => {
			const request = { error: new DOMException("told so", "` + broken.error + `") };
			queueMicrotask(() => request.onerror());
			return request;
		}))`)
		wantFailure(t, p, `await hopseal.openStore({ record: "ann" })`, broken.code, "told so")
		p.Run(`restore()`)
	}
	p.Run(`void (window.restore = lift(indexedDB, "open", () => { throw new DOMException("not here", "SecurityError"); }))`)
	wantFailure(t, p, `await hopseal.openStore({ record: "ann" })`, "store-unavailable", "not here")
	p.Run(`restore()`)
	p.Run(`void (window.fast = 3)`)
	// A connection of an older version, in another tab, that does not go away.
	other := open(b, url)
	other.Run(`new Promise((resolve) => {
		const request = indexedDB.open("old", 1);
		request.onsuccess = () => resolve((window.old = request.result, 0));
	})`)
	wantFailure(t, p, `await hopseal.openStore({ name: "old", record: "ann" })`, "store-in-use", "another tab")
	other.Run(`old.close()`)
	p.WaitFor(`hopseal.openStore({ name: "old", record: "ann" }).then((store) => store.close()).then(() => true, () => false)`)
	p.Run(`hopseal.openStore({ record: "ann" }).then((store) => store.close())`)
	if took := time.Since(since); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// An account is imported into a record that is empty, and nowhere else.
func TestAnImportOverwritesNothing(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	p.Run(`(async () => {
		window.words = "trivial gadget ostrich banjo lantern";
		window.file = await ann.export(words);
		await ann.close();
	})()`)
	wantFailure(t, p, `await hopseal.importAccount(file, words, { record: "ann" })`, "bad-argument", "has an account already")
	wantFailure(t, p, `await hopseal.importAccount(file, words + "x", { record: "other" })`, "wrong-passphrase", "another one")
	got := chromium.Eval[[]string](p, `(async () => {
		const other = await hopseal.importAccount(file, words, { record: "other" });
		await other.close();
		const again = await hopseal.openAccount({ record: "other" });
		return [again.name, String(again.created), ...(await again.peers.admitted())];
	})()`)
	if fingerprint := chromium.Eval[string](p, `bob.fingerprint`); got[1] != "false" || got[2] != fingerprint {
		t.Errorf("got %q", got)
	}
}

func TestOpeningTwiceInAPageIsASentence(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-in-use", "this page has opened it already")
	wantFailure(t, p, `await Promise.all([hopseal.openStore({ record: "x" }), hopseal.openStore({ record: "x" })])`, "store-in-use", "this page")
	p.Run("(" + reloaded + ")()")
	p.Run("(" + reloaded + ")()")
}

// A20: whoever takes the lock away has the record, and this tab is told and writes nothing more.
func TestA20AStolenLockClosesTheStore(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p, thief := storePage(b, url), storePage(b, url)
	p.Run(accounts)
	p.Run(`letter("late").then((sealed) => { window.late = sealed; })`)
	before := chromium.Eval[int](p, `all("log").then((log) => log.length)`)
	thief.Run(`void navigator.locks.request('hopseal ["hopseal","ann"]', { steal: true }, () => new Promise((free) => { window.free = free; }))`)
	if got := chromium.Eval[string](p, `ann.closed.then((error) => error.code + ": " + error.message)`); got != "store-in-use: another tab or window has taken this identity over" {
		t.Errorf("closed with %q", got)
	}
	for _, use := range []string{`await read(late)`, `await ann.seal("x", { to: bob.public })`, `await ann.renew()`, `await ann.peers.admit(bob.public)`} {
		wantFailure(t, p, use, "store-in-use", "taken this identity over")
	}
	if after := chromium.Eval[int](thief, `all("log").then((log) => log.length)`); after != before {
		t.Errorf("%d entries of the log, before %d", after, before)
	}
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-in-use", "another tab or window")
	thief.Run(`free()`)
	p.Run("(" + reloaded + ")()")
}

func TestAnotherTabThatDeletesTheDatabaseClosesTheStore(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p, other := storePage(b, url), storePage(b, url)
	p.Run(accounts)
	other.Run(`kill("hopseal")`)
	if got := chromium.Eval[string](p, `ann.closed.then((error) => error.code)`); got != "store-in-use" {
		t.Errorf("closed with %q", got)
	}
	wantFailure(t, p, `await ann.peers.admit(bob.public)`, "store-in-use", "deletes or changes")
	p.Run(`(async () => { await ann.close(); window.ann = await hopseal.openAccount({ record: "ann" }); })()`)
	if !chromium.Eval[bool](p, `ann.created`) {
		t.Error("a deleted identity came back")
	}
}

// A message that cannot be saved as opened is not given out, and opens later. A full disk harms nothing.
func TestAMessageIsGivenOutOnceItIsSaved(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	p.Run(`(async () => { window.one = await letter("one"); window.large = await letter("large ".repeat(10_000)); })()`)
	for _, broken := range []struct{ name, code, text, break_ string }{
		{"full", "store-full", "full", `
			const full = () => { throw new DOMException("it is full", "QuotaExceededError"); };
			const undo = [lift(IDBObjectStore.prototype, "add", full), lift(IDBObjectStore.prototype, "put", full)];
			window.restore = () => undo.forEach((f) => f());`},
		{"aborted", "store-failed", "refused", `
			const { add, put } = IDBObjectStore.prototype;
			const then = (method) => function (...args) { const r = method.apply(this, args); this.transaction.abort(); return r; };
			const undo = [lift(IDBObjectStore.prototype, "add", then(add)), lift(IDBObjectStore.prototype, "put", then(put))];
			window.restore = () => undo.forEach((f) => f());`},
		{"silent", "store-failed", "did not answer", `
			const silent = { objectStore: () => new Proxy({}, { get: () => () => ({}) }), abort() {} };
			window.restore = lift(IDBDatabase.prototype, "transaction", () => silent);`},
		{"forgetful", "store-failed", "did not keep", `
			const forget = function () { return this.count(); };
			const undo = [lift(IDBObjectStore.prototype, "add", forget), lift(IDBObjectStore.prototype, "put", forget)];
			window.restore = () => undo.forEach((f) => f());`},
		{"changed", "store-failed", "did not keep", `
			const { add, put } = IDBObjectStore.prototype;
			const then = (method) => function (value, key) { return method.call(this, { ...value, data: value.data?.map((b) => b ^ 1) }, key); };
			const undo = [lift(IDBObjectStore.prototype, "add", then(add)), lift(IDBObjectStore.prototype, "put", then(put))];
			window.restore = () => undo.forEach((f) => f());`},
	} {
		p.Run(`void (() => { window.fast = 20;` + broken.break_ + `})()`)
		wantFailure(t, p, `await read(one)`, broken.code, broken.text)
		wantFailure(t, p, `await read(large)`, broken.code, broken.text)
		if unsaved := chromium.Eval[string](p, `ann.unsaved.code`); unsaved != broken.code {
			t.Errorf("%s: unsaved is %q", broken.name, unsaved)
		}
		p.Run(`restore()`)
	}
	p.Run(`void (window.fast = 1)`)
	if got := chromium.Eval[string](p, `Promise.all([read(one), read(large)]).then(([a, b]) => a + " " + b.slice(0, 5))`); got != "one large" {
		t.Errorf("opened %q", got)
	}
	p.Run("(" + reloaded + ")()")
	for _, m := range []string{"one", "large"} {
		if f := caught(p, `await read(`+m+`)`); f.Reason != "replay" {
			t.Errorf("%s: %+v", m, f)
		}
	}
}

// Whatever was opened stays opened: over closing, over many saves, over a page that goes away.
func TestA16OpenedMessagesStayOpenedOverReloads(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	for range 3 {
		p.Run(`(async () => {
			window.sealed = await Promise.all(Array.from({ length: 20 }, (_, i) => letter("m" + i)));
			await Promise.all(sealed.map((s) => read(s)));
		})()`)
		p.Run("(" + reloaded + ")()")
		if n := chromium.Eval[int](p, `Promise.all(sealed.map((s) => read(s).then(() => 1, () => 0))).then((all) => all.reduce((a, b) => a + b))`); n != 0 {
			t.Errorf("%d messages opened again", n)
		}
		if got := chromium.Eval[string](p, `letter("new").then((s) => read(s))`); got != "new" {
			t.Errorf("after a reload: %q", got)
		}
	}
	// The page goes without closing, and another one has only the text of what was sealed.
	text := chromium.Eval[string](p, `(async () => {
		const m = await letter("last");
		await read(m);
		return bob.public.encode() + " " + btoa(String.fromCharCode(...m));
	})()`)
	who, sealed, _ := strings.Cut(text, " ")
	p.Close()
	p = storePage(b, url)
	f := caught(p, `
		const ann = await hopseal.openAccount({ record: "ann" });
		const from = await hopseal.PublicIdentity.parse("`+who+`");
		await ann.open(Uint8Array.from(atob("`+sealed+`"), (c) => c.charCodeAt(0)), { from });`)
	if f.Reason != "replay" {
		t.Errorf("in another page: %+v", f)
	}
}

// A20: an older copy of the record that is put back is noticed. With the user's word the identity goes
// on, and everything else begins as after a loss.
func TestA20AnOlderCopyIsNoticed(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	p.Run(`(async () => {
		window.old = await copy();
		window.sealed = await letter("once");
		await read(sealed);
		window.cut = await copy();
		await ann.peers.forget(bob.fingerprint);
		window.serial = ann.public.serial;
		await ann.close();
	})()`)
	for _, copies := range []string{"old", "cut", "{ records: old.records, log: [] }"} {
		p.Run(`putBack(` + copies + `)`)
		wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-rolled-back", "an older copy")
	}
	// Each of the two other places suffices.
	p.Run(`(async () => {
		window.place = localStorage.getItem('hopseal ["hopseal","ann"]');
		localStorage.clear();
	})()`)
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-rolled-back", "an older copy")
	p.Run(`kill("hopseal generations").then(() => localStorage.setItem('hopseal ["hopseal","ann"]', place))`)
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-rolled-back", "an older copy")
	p.Run(`(async () => {
		window.ann = await hopseal.openAccount({ record: "ann", acceptOld: true });
	})()`)
	if f := caught(p, `await ann.open(sealed, { from: bob.public })`); f.Code != "trust-unknown" {
		t.Errorf("a forgotten peer: %+v", f)
	}
	p.Run(`ann.peers.admit(bob.public)`)
	for _, m := range []string{"sealed", `await letter("new")`} {
		if f := caught(p, `await read(`+m+`)`); f.Reason != "time" {
			t.Errorf("%s in the first five minutes: %+v", m, f)
		}
	}
	if !chromium.Eval[bool](p, `ann.public.serial > serial`) {
		t.Error("a serial may be used twice")
	}
	// It has gone on: now it is the current one.
	p.Run("(" + reloaded + ")()")
	p.Run(`(async () => { window.after = await copy(); })()`)

	// Nonsense in the other places harms nothing, and an old copy is noticed all the same.
	for _, nonsense := range []string{"1e300", "-5", "text", "NaN", "0"} {
		p.Run(`(async () => {
			await ann.close();
			localStorage.setItem('hopseal ["hopseal","ann"]', "` + nonsense + `");
			window.ann = await hopseal.openAccount({ record: "ann" });
		})()`)
	}
	p.Run(`ann.close().then(() => putBack(old))`)
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-rolled-back", "an older copy")
}

// Where no other place remembers anything, nothing can tell: the guard begins as after a loss.
func TestWhereNothingCanTellTheGuardBeginsAnew(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	p.Run(`(async () => {
		window.old = await copy();
		window.sealed = await letter("once");
		await read(sealed);
		window.serial = ann.public.serial;
		await ann.close();
		await putBack(old);
		localStorage.clear();
		await kill("hopseal generations");
		window.ann = await hopseal.openAccount({ record: "ann" });
	})()`)
	if f := caught(p, `await read(sealed)`); f.Reason != "time" {
		t.Errorf("opened before, by the account that nobody remembers: %+v", f)
	}
	if !chromium.Eval[bool](p, `ann.public.serial > serial`) {
		t.Error("a serial may be used twice")
	}
	p.Run("(" + reloaded + ")()")
	if f := caught(p, `await read(sealed)`); f.Reason != "time" {
		t.Errorf("after a reload: %+v", f)
	}
}

func TestALogThatWasChangedIsDamaged(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	p.Run(`(async () => {
		for (const text of ["a", "b", "c"]) await read(await letter(text));
		await ann.close();
		window.good = await copy();
	})()`)
	if n := chromium.Eval[int](p, `good.log.length`); n != 3 {
		t.Fatalf("%d entries", n)
	}
	for _, log := range []string{
		`good.log.filter((_, i) => i !== 1)`,
		`good.log.slice(1)`,
		`good.log.map(([key], i) => [key, good.log[(i + 1) % 3][1]])`,
		`good.log.map(([key, value]) => [key, { ...value, data: value.data.slice(1) }])`,
		`[...good.log, [["ann", 99], good.log[2][1]]]`,
		`[...good.log, [["ann", 99], "text"]]`,
	} {
		p.Run(`putBack({ records: good.records, log: ` + log + ` })`)
		wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-damaged", "does not open")
	}
	p.Run(`putBack(good).then(async () => { window.ann = await hopseal.openAccount({ record: "ann" }); })`)
}

// TestSavingCostsWhatChanged measures what a message costs beside 10,000 that are remembered.
func TestSavingCostsWhatChanged(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	got := chromium.Eval[struct {
		Whole, Message struct{ Bytes, Milliseconds float64 }
	}](p, `(async () => {
		const { Identity, KnownPeers, ReplayGuard, seal, open, openStore } = hopseal;
		const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
		const count = 10_000;
		const ids = Array.from({ length: count }, (_, i) => [0x92, 0xc4, 16, ...new Array(12).fill(0), i >> 24, i >> 16, i >> 8, i,
			0xcf, ...new Uint8Array(new BigUint64Array([BigInt(Date.now())]).buffer).reverse()]);
		const guard = [0x95, 3, 0xc4, 0, 0xce, 0, 4, 0x93, 0xe0, 0, 0x91, 0x94, 0xc4, 32, ...new Array(32).fill(7), 0xa0, 0, 0xdc, count >> 8, count & 255];
		const content = { identity: bob, knownPeers: await KnownPeers.create(), replay: await ReplayGuard.parse(new Uint8Array([...guard, ...ids.flat()])) };
		const store = await openStore({ record: "bob" });
		await store.save(content);
		let bytes = 0;
		for (const name of ["put", "add"]) {
			const method = IDBObjectStore.prototype[name];
			IDBObjectStore.prototype[name] = function (value, key) {
				bytes += value.data?.length ?? 0;
				return method.call(this, value, key);
			};
		}
		const measure = async (count, change) => {
			bytes = 0;
			let milliseconds = 0;
			for (let i = 0; i < count; i++) {
				await change();
				const since = performance.now();
				await store.save(content);
				milliseconds += performance.now() - since;
			}
			return { bytes: bytes / count, milliseconds: milliseconds / count };
		};
		const whole = await measure(20, () => bob.renew());
		const message = await measure(100, async () => {
			const sealed = await seal("hi", { from: ann, to: [bob.public] });
			await open(sealed, { identity: bob, from: ann.public, replay: content.replay });
		});
		return { whole, message };
	})()`)
	t.Logf("all: %.0f bytes, %.2f ms; a message: %.0f bytes, %.2f ms", got.Whole.Bytes, got.Whole.Milliseconds, got.Message.Bytes, got.Message.Milliseconds)
	if got.Whole.Bytes < 250_000 || got.Message.Bytes > 200 {
		t.Errorf("a message takes %.0f bytes where all takes %.0f", got.Message.Bytes, got.Whole.Bytes)
	}
}

// A log that has grown is folded into the record.
func TestTheLogIsFolded(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(accounts)
	sizes := chromium.Eval[[]int](p, `(async () => {
		const sizes = [];
		for (let i = 0; i < 13; i++) {
			const sealed = await Promise.all(Array.from({ length: 100 }, (_, j) => letter(i + " " + j)));
			await Promise.all(sealed.map((s) => read(s)));
			const log = await all("log");
			sizes.push(log.reduce((sum, [, { data }]) => sum + data.length, 0));
		}
		return sizes;
	})()`)
	t.Logf("bytes in the log after each 100 messages: %v", sizes)
	folded := false
	for i, n := range sizes {
		folded = folded || i > 0 && n < sizes[i-1]
		if n > 80<<10 {
			t.Errorf("%d bytes", n)
		}
	}
	if !folded {
		t.Error("it grows for ever")
	}
	p.Run("(" + reloaded + ")()")
	if got := chromium.Eval[string](p, `letter("new").then((s) => read(s))`); got != "new" {
		t.Errorf("%q", got)
	}
}

func TestPlainHTTPIsNamed(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := storePage(b, url)
	p.Run(`(() => {
		Object.defineProperty(window, "isSecureContext", { value: false });
		Object.defineProperty(crypto, "subtle", { value: undefined });
		Object.defineProperty(navigator, "locks", { value: undefined });
	})()`)
	wantFailure(t, p, `await hopseal.openAccount({ record: "ann" })`, "store-unavailable", "without crypto.subtle, Web Locks: the page came over plain http")
	if got := chromium.Eval[string](p, `(async () => {
		const [ann, bob] = [await hopseal.openAccount({ record: "ann", memory: true }), await hopseal.openAccount({ record: "bob", memory: true })];
		await bob.peers.admit(ann.public);
		await ann.peers.admit(bob.public);
		return (await bob.open(await ann.seal("hi", { to: bob.public }), { from: ann.public })).text();
	})()`); got != "hi" {
		t.Errorf("in memory: %q", got)
	}
}

// TestTheReadmeRuns runs every example of the package's README as it is pasted into a page.
func TestTheReadmeRuns(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(readFile(t, "npm/README.md"), -1)
	mux := http.NewServeMux()
	mux.Handle("/hopseal/", http.StripPrefix("/hopseal/", http.FileServer(http.Dir(buildPackage(t).Dir))))
	for i, block := range blocks {
		mux.HandleFunc(fmt.Sprintf("/%d.js", i), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, block[1], "\nwindow.done = true;\n")
		})
		mux.HandleFunc(fmt.Sprintf("/%d.html", i), func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `<!doctype html><title>README</title><link rel="icon" href="data:,">
				<script type="importmap">{ "imports": { "hopseal": "/hopseal/index.js" } }</script>
				<script>window.said = []; console.log = (...all) => said.push(all.map(String).join(" "));</script>
				<script type="module" src="/%d.js"></script>`, i)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b := chromium.New(t)
	for i := range blocks {
		p := b.Open(fmt.Sprintf("%s/%d.html", server.URL, i))
		p.WaitFor("window.done")
		said := chromium.Eval[[]string](p, "said")
		t.Logf("example %d said %.100q", i, said)
		if i == 0 && said[len(said)-1] != "hello" {
			t.Error("the first example does not say hello")
		}
	}
	if len(blocks) < 2 {
		t.Errorf("%d examples", len(blocks))
	}
}
