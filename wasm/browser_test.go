//go:build !js

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/internal/wasmbuild"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// csp is what a careful page sends: no inline scripts, and of eval only what wasm
// needs.
const csp = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"

// serve serves the package and a page that imports it. Under /bad it does what
// broken deployments do.
func serve(t testing.TB, policy string) (url string) {
	t.Helper()
	dir := buildPackage(t).Dir
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Policy: transport.Development}})
	mux := http.NewServeMux()
	mux.Handle("/relay", hub)
	mux.Handle("/hopseal/", http.StripPrefix("/hopseal/", http.FileServer(http.Dir(dir))))
	mux.Handle("/", http.FileServer(http.Dir("testdata/page")))
	mux.HandleFunc("/bad/mime.wasm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		b, err := os.ReadFile(filepath.Join(dir, wasmbuild.CoreFile))
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	})
	mux.HandleFunc("/bad/broken.wasm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/wasm")
		b, err := os.ReadFile(filepath.Join(dir, wasmbuild.CoreFile))
		if err != nil {
			t.Error(err)
		}
		w.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/bad/html.wasm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>not what you wanted</title>")
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		hub.Shutdown(ctx)
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

func TestAPlainModuleScriptWorks(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	info := chromium.Eval[struct {
		Version, BuildID string
		WebCrypto        bool    `json:"webcrypto"`
		Milliseconds     float64 `json:"milliseconds"`
	}](p, "start()")
	if info.BuildID != buildPackage(t).BuildID || info.Version == "" || !info.WebCrypto {
		t.Errorf("init gave %+v", info)
	}
	t.Logf("init took %.0f ms, fetching included", info.Milliseconds)
	got := chromium.Eval[string](p, `(async () => {
		const { Identity, ReplayGuard, seal, open } = hopseal;
		const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
		const sealed = await seal(new TextEncoder().encode("grüße"), { from: ann, to: [bob.public], context: "c" });
		const replay = await ReplayGuard.create({ identity: bob });
		const { data } = await open(sealed, { identity: bob, from: ann.public, context: "c", replay });
		return new TextDecoder().decode(data);
	})()`)
	if got != "grüße" {
		t.Errorf("opened %q", got)
	}
	if added := chromium.Eval[[]string](p, "addedGlobals()"); len(added) != 0 {
		t.Errorf("globals added: %q", added)
	}
}

func TestBrokenDeploymentsSayWhatIsWrong(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	p.ExpectErrors("404")
	wantFailure(t, p, `await start("/hopseal/nothing.wasm")`, "core-fetch", "/hopseal/nothing.wasm answered 404 Not Found")
	wantFailure(t, p, `await start("/bad/html.wasm")`, "core-not-wasm", "an HTML page")
	p.ExpectErrors("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_REFUSED", "ERR_UNSAFE_PORT", "Content Security Policy", "Content-Security-Policy")
	wantFailure(t, p, `await start("http://127.0.0.1:1/core.wasm?token=x")`, "core-fetch", "http://127.0.0.1:1/core.wasm could not be fetched")
	wantFailure(t, p, `await start("/bad/broken.wasm")`, "core-fetch", "/bad/broken.wasm broke off while it was loaded")
	wantFailure(t, p, `await start(new Uint8Array([1, 2]))`, "core-not-wasm", "2 bytes that start with 01 02")
	wantFailure(t, p, `await hopseal.Identity.generate("ann")`, "not-initialised", "not been started")
	// After all of that the next init works, even under a wrong MIME type.
	if id := chromium.Eval[string](p, `start("/bad/mime.wasm").then((info) => info.buildId)`); id == "" {
		t.Error("a wrong MIME type ends in no core")
	}
}

func TestAPolicyWithoutWasmIsNamed(t *testing.T) {
	b, url := chromium.New(t), serve(t, "default-src 'self'; img-src data:")
	p := open(b, url)
	p.ExpectErrors("Content Security Policy")
	f := caught(p, "await start()")
	if f.Code != "core-compile" || !strings.Contains(f.Hint, "wasm-unsafe-eval") {
		t.Errorf("got %+v", f)
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

// TestADeadCoreIsReplaced breaks the core by overwriting its memory.
func TestADeadCoreIsReplaced(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	p := open(b, url)
	p.Run(`(async () => {
		const instantiate = WebAssembly.instantiate;
		WebAssembly.instantiate = async (...args) => (window.instance = await instantiate(...args));
		await start();
		WebAssembly.instantiate = instantiate;
		window.ann = await hopseal.Identity.generate("ann");
		window.relay = await hopseal.RelayClient.connect("/relay");
		new Uint8Array(instance.exports.mem.buffer).fill(255);
	})()`)
	wantFailure(t, p, `await hopseal.Identity.generate("bob")`, "core-dead", "failed inside")
	wantFailure(t, p, `await ann.renew()`, "core-dead", "failed inside")
	if code := chromium.Eval[string](p, "relay.closed.then((closed) => closed.error.code)"); code != "core-dead" {
		t.Errorf("the relay client ended with %q", code)
	}
	if name := chromium.Eval[string](p, `start().then(() => hopseal.Identity.generate("bob")).then((bob) => bob.name)`); name != "bob" {
		t.Errorf("after a fresh start: %q", name)
	}
	wantFailure(t, p, `await ann.renew()`, "closed", "lost with the core")
	// Nothing of it was thrown at the page: the console is checked at the end.
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
	wantFailure(t, first, `await hopseal.openStore({ record: "ann" })`, "store-in-use", "another tab")
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
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, version: 2 }, "ann"))`)
	wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
	p.Run(`change("records", "ann", (store, value) => store.put({ ...value, version: 1 }, "ann"))`)
	p.Run(`load("ann")`)
	for _, field := range []string{"data", "iv"} {
		p.Run(`change("records", "ann", (store, value) => { value.` + field + `[3] ^= 1; store.put(value, "ann"); })`)
		wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
		p.Run(`change("records", "ann", (store, value) => { value.` + field + `[3] ^= 1; store.put(value, "ann"); })`)
	}
	p.Run(`load("ann")`)
	p.Run(`change("keys", "wrap", (store) => store.delete("wrap"))`) // the key is gone
	wantFailure(t, p, `await load("ann")`, "store-damaged", "does not open")
}

func TestTheStoreSaysWhatIsMissing(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	for _, missing := range []struct{ script, name string }{
		// As in a page that came over plain http.
		{`void Object.defineProperty(crypto, "subtle", { value: undefined })`, "crypto.subtle"},
		{`void Object.defineProperty(window, "indexedDB", { get() { throw new DOMException("", "SecurityError"); } })`, "IndexedDB"},
		{`void Object.defineProperty(navigator, "locks", { value: undefined })`, "Web Locks"},
	} {
		p := open(b, url)
		p.Run(missing.script)
		p.Run("start()")
		wantFailure(t, p, `await hopseal.openStore({ record: "ann" })`, "store-unavailable", missing.name)
		if ok := chromium.Eval[bool](p, `hopseal.openStore({ record: "ann", memory: true }).then((store) => store.load()).then((x) => x === null)`); !ok {
			t.Error("the memory store is not there")
		}
	}
}

// TestTwoPagesTalkThroughARelay has two pages and a Go client talk through a hub.
func TestTwoPagesTalkThroughARelay(t *testing.T) {
	b, url := chromium.New(t), serve(t, csp)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	goClient, err := relay.Dial(ctx, url+"/relay", &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		t.Fatal(err)
	}
	defer goClient.Close()
	if _, err := goClient.Join(ctx, "room", "go", []byte{1}); err != nil {
		t.Fatal(err)
	}
	pages := map[string]*chromium.Page{}
	for _, name := range []string{"ann", "bob"} {
		p := open(b, url)
		p.Run(`(async () => {
			await start();
			window.relay = await hopseal.RelayClient.connect("/relay");
			window.membership = await relay.join("room", "` + name + `", new TextEncoder().encode("` + name + `"));
			window.events = [];
			(async () => { for await (const event of relay) events.push(event); })();
		})()`)
		pages[name] = p
	}
	wantFailure(t, pages["bob"], `
		const third = await hopseal.RelayClient.connect("/relay");
		try { await third.join("room", "ann", new Uint8Array()) } finally { third.close() }
	`, "relay-name-taken", "name")
	pages["ann"].Run(`relay.publish("room", new TextEncoder().encode("from ann"))`)
	pages["bob"].WaitFor(`events.some((e) => e.type === "message" && new TextDecoder().decode(e.payload) === "from ann" && e.from === membership.members.find((m) => m.name === "ann").id)`)
	if err := goClient.Publish(ctx, "room", []byte("from go")); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		p.WaitFor(`events.some((e) => e.type === "message" && new TextDecoder().decode(e.payload) === "from go")`)
	}
	pages["bob"].Run("relay.close()")
	pages["ann"].WaitFor(`events.some((e) => e.type === "left")`)
	if members := chromium.Eval[[]string](pages["ann"], `events.filter((e) => e.type === "entered").map((e) => e.name + " " + new TextDecoder().decode(e.presence))`); !slices.Equal(members, []string{"bob bob"}) {
		t.Errorf("ann saw enter: %q", members)
	}
}
