//go:build !js

package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
)

// csp is what a careful page sends: no inline scripts, and of eval only what wasm
// needs.
const csp = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"

// serve serves the package and a page that imports it.
func serve(t testing.TB, policy string) (url string) {
	t.Helper()
	dir := buildPackage(t).Dir
	mux := http.NewServeMux()
	mux.Handle("/hopseal/", http.StripPrefix("/hopseal/", http.FileServer(http.Dir(dir))))
	mux.Handle("/", http.FileServer(http.Dir("testdata/page")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func open(b *chromium.Browser, url string) *chromium.Page {
	p := b.Open(url)
	p.WaitFor("window.loaded")
	return p
}

// failure is an error as caught() in page.js gives it.
type failure struct {
	Name, Code, Message, Hint, Reason string
	Retryable                         bool
}

func caught(p *chromium.Page, script string) failure {
	return chromium.Eval[failure](p, "caught((async () => {"+script+"})())")
}

func wantFailure(t *testing.T, p *chromium.Page, script, code, text string) {
	t.Helper()
	f := caught(p, script)
	if f.Code != code || !strings.Contains(f.Message, text) || f.Name != "HopsealError" {
		t.Errorf("%s: got %+v, want code %s and %q", script, f, code, text)
	}
}

// TestValuesOfAnIframeAreWhatTheyAre passes values of another realm, which instanceof does not know, and
// what is no longer there: a buffer that went to a worker, the iframe itself.
func TestValuesOfAnIframeAreWhatTheyAre(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	p.Run(`(async () => {
		const iframe = document.body.appendChild(document.createElement("iframe"));
		window.other = iframe.contentWindow;
		other.gone = iframe;
		await hopseal.init(await other.fetch(new other.URL("/hopseal/core.wasm", location)));
		const { Identity, ReplayGuard } = hopseal;
		[window.ann, window.bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
		window.replay = await ReplayGuard.create({ identity: bob });
		window.crossing = async (plaintext) => {
			const sealed = await hopseal.seal(plaintext, { __proto__: other.Object.prototype, from: ann, to: other.Array.of(bob.public) });
			const copy = new other.Uint8Array(sealed.length + 8);
			copy.set(sealed, 4);
			const { signal } = new other.AbortController();
			const view = new other.DataView(copy.buffer, 4, sealed.length);
			return (await hopseal.open(view, { identity: bob, from: ann.public, replay, signal })).data.join();
		};
	})()`)
	for _, value := range []string{"new other.Uint8Array([7, 8])", "new other.Uint16Array([8 * 256 + 7])", "new other.Uint8Array([7, 8]).buffer"} {
		if got := chromium.Eval[string](p, "crossing("+value+")"); got != "7,8" {
			t.Errorf("%s: opened %q", value, got)
		}
	}
	wantFailure(t, p, `const a = new Uint8Array(9); other.postMessage(a, "*", [a.buffer]); await crossing(a)`,
		"bad-argument", "plaintext: got a view of an ArrayBuffer that was transferred")
	wantFailure(t, p, `const a = new other.Uint8Array(9); structuredClone(a, { transfer: [a.buffer] }); await crossing(a.buffer)`,
		"bad-argument", "plaintext: got an ArrayBuffer that was transferred")
	wantFailure(t, p, `const m = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }); await crossing(m.buffer)`,
		"bad-argument", "plaintext is a SharedArrayBuffer")
	wantFailure(t, p, `await crossing(other.Promise.resolve("x"))`, "bad-argument", "got a Promise: await it")
	if got := chromium.Eval[string](p, `(() => { window.kept = new other.Uint8Array([7, 8]); other.gone.remove(); return crossing(kept); })()`); got != "7,8" {
		t.Errorf("without the iframe: opened %q", got)
	}
}

// save makes an identity and a friend, and saves them under the record.
const save = `async (record) => {
	const { openStore, Identity, KnownPeers } = hopseal;
	window.store = await openStore({ record });
	if (await store.load() !== null) throw new Error("the record exists");
	window.me = await Identity.generate(record);
	const knownPeers = await KnownPeers.create();
	await knownPeers.admit({ room: "r" }, (await Identity.generate("friend")).public);
	await store.save({ identity: me, knownPeers });
	return me.fingerprint;
}`

// load opens the record and returns whose it is, and how many were admitted.
const load = `async (record) => {
	window.store = await hopseal.openStore({ record });
	const { identity, knownPeers } = await store.load();
	return [identity.name, identity.fingerprint, String((await knownPeers.admitted({ room: "r" })).length)];
}`

func TestA44TheStoreKeepsKeysWrapped(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	p.Run("start()")
	fingerprint := chromium.Eval[string](p, "("+save+`)("ann")`)

	// What an attacker sees who copies the database: bytes without the secrets, and
	// a key that cannot be exported.
	leaks := chromium.Eval[[]string](p, `(async () => {
		const secret = await cleartext.exportIdentity(me);
		const database = await new Promise((resolve) => {
			const request = indexedDB.open("hopseal");
			request.onsuccess = () => resolve(request.result);
		});
		const all = (name) => new Promise((resolve) => {
			const request = database.transaction(name).objectStore(name).getAll();
			request.onsuccess = () => resolve(request.result);
		});
		const leaks = [];
		const [record, ...more] = await all("records");
		if (more.length) leaks.push("more records");
		const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
		const stored = hex(record.iv) + hex(record.data);
		for (let at = 0; at + 16 < secret.length; at += 8) {
			if (stored.includes(hex(secret.subarray(at, at + 8)))) leaks.push("secret bytes at " + at);
		}
		const [key] = await all("keys");
		if (key.extractable) leaks.push("extractable");
		for (const format of ["raw", "jwk"]) {
			await crypto.subtle.exportKey(format, key).then(() => leaks.push("exported " + format), () => {});
		}
		database.close();
		return leaks;
	})()`)
	if len(leaks) != 0 {
		t.Errorf("leaks: %q", leaks)
	}

	for range 2 { // with the store still open, as a user reloads
		p.Reload()
		p.WaitFor("window.loaded")
		p.Run("start()")
		got := chromium.Eval[[]string](p, "("+load+`)("ann")`)
		if !slices.Equal(got, []string{"ann", fingerprint, "1"}) {
			t.Errorf("after a reload: %q", got)
		}
	}
	serial := chromium.Eval[string](p, `(async () => {
		const content = await store.load();
		await content.identity.renew();
		await store.save(content);
		await store.close();
		window.store = await hopseal.openStore({ record: "ann" });
		return String((await store.load()).identity.public.serial);
	})()`)
	if serial == "1" {
		t.Errorf("after saving again: serial %s", serial)
	}
}

func TestA20TheStoreIsLockedToOneTab(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	first, second := open(b, url), open(b, url)
	first.Run("start()")
	second.Run("start()")
	fingerprint := chromium.Eval[string](first, "("+save+`)("ann")`)
	wantFailure(t, second, `await hopseal.openStore({ record: "ann" })`, "store-in-use", "another tab")
	wantFailure(t, first, `await hopseal.openStore({ record: "ann" })`, "store-in-use", "this page has opened it already")
	if f := caught(second, `await hopseal.openStore({ record: "ann" })`); !f.Retryable || f.Hint == "" {
		t.Errorf("got %+v", f)
	}
	// Another user of the same page, and another store, are free.
	if got := chromium.Eval[string](second, "("+save+`)("bob")`); got == fingerprint || got == "" {
		t.Errorf("bob has %q", got)
	}
	second.Run(`hopseal.openStore({ name: "other", record: "ann" }).then((other) => other.close())`)
	first.Run("store.close()")
	got := chromium.Eval[[]string](second, "("+load+`)("ann")`)
	if !slices.Equal(got, []string{"ann", fingerprint, "1"}) {
		t.Errorf("in the second tab: %q", got)
	}
	second.Close() // without closing its store
	first.WaitFor(`hopseal.openStore({ record: "bob" }).then((store) => store.close()).then(() => true, () => false)`)
}

func TestTheStoreNoticesChanges(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	p.Run("start()")
	p.Run("(" + save + `)("ann").then(() => store.close())`)
	p.Run(`(async () => {
		window.change = async (storeName, key, f) => {
			const database = await new Promise((resolve) => {
				const request = indexedDB.open("hopseal");
				request.onsuccess = () => resolve(request.result);
			});
			await new Promise((resolve) => {
				const transaction = database.transaction(storeName, "readwrite");
				transaction.oncomplete = resolve;
				const store = transaction.objectStore(storeName);
				store.get(key).onsuccess = (event) => f(store, event.target.result);
			});
			database.close();
		};
		window.load = async (record) => {
			const store = await hopseal.openStore({ record });
			try {
				return await store.load();
			} finally {
				await store.close();
			}
		};
	})()`)
	p.Run(`change("records", "ann", (store, value) => store.put(value, "eve"))`) // moved to another name
	wantFailure(t, p, `await load("eve")`, "store-damaged", "does not open")
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, version: 3 }, "ann"))`)
	wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, version: 2 }, "ann"))`)
	p.Run(`load("ann")`)
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, generation: value.generation + 1 }, "ann"))`)
	wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, generation: value.generation - 1 }, "ann"))`)
	for _, field := range []string{"data", "iv"} {
		p.Run(`change("records", "ann", (store, value) => { value.` + field + `[3] ^= 1; store.put(value, "ann"); })`)
		wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
		p.Run(`change("records", "ann", (store, value) => { value.` + field + `[3] ^= 1; store.put(value, "ann"); })`)
	}
	p.Run(`load("ann")`)
	p.Run(`change("keys", "wrap", (store) => store.delete("wrap"))`) // the key is gone
	wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
}
