// What the package does in a page, the same in every browser. The runner calls one test after the other; each throws
// where something is not as it should be.
const before = Reflect.ownKeys(globalThis);
const problems = []; // what nobody caught
addEventListener("error", (event) => problems.push(event.message));
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));

const hopseal = await import("/hopseal/index.js");
const { connect, init, Identity, KnownPeers, openStore, PublicIdentity, RelayClient, ReplayGuard, seal, open } = hopseal;

const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

function same(got, want) {
  const [a, b] = [got, want].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`got ${a}, want ${b}`);
}

// fails returns the HopsealError that the promise rejects with.
async function fails(promise, code) {
  const error = await promise.then(() => null, (e) => e);
  same([error?.name, error?.code], ["HopsealError", code]);
  return error;
}

const query = new URL(location).searchParams;
const services = query.get("services");

// toServices makes a session with the service at /echo.
async function toServices(options) {
  const encoded = query.get("identity").replace(/-/g, "+").replace(/_/g, "/");
  const verifier = await PublicIdentity.parse(Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)));
  return connect(`${services}/echo`, { identity: await Identity.generate("page"), verifier, protocol: "echo/1", ...options });
}

async function pair() {
  const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  return { ann, bob, replay: await ReplayGuard.create({ identity: bob }) };
}

// short is what every change is checked with; the rest is for the long form.
const short = {
  async "init starts the core and adds no global"() {
    const since = performance.now();
    const info = await init();
    const milliseconds = Math.round(performance.now() - since);
    same(info.buildId.length, 32);
    same(info.webcrypto, true);
    same(Reflect.ownKeys(globalThis).filter((k) => !before.includes(k) && typeof k === "string" && k !== "suite"), []); // WebDriver adds symbols
    return `${milliseconds} ms`;
  },

  async "a message is sealed and opened, once"() {
    const { ann, bob, replay } = await pair();
    const sealed = await seal(encoder.encode("grüße"), { from: ann, to: [bob.public], context: "c" });
    const opener = { identity: bob, from: ann.public, context: "c", replay };
    same(decoder.decode((await open(sealed, opener)).data), "grüße");
    same((await fails(open(sealed, opener), "open-failed")).reason, "replay");
  },

  async "large bodies are WebCrypto's"() {
    const { ann, bob, replay } = await pair();
    const plaintext = new Uint8Array(1 << 20).map((_, i) => i ^ (i >> 8));
    const sealed = await seal(plaintext, { from: ann, to: [bob.public] });
    const { data } = await open(sealed, { identity: bob, from: ann.public, replay });
    same(data.length, plaintext.length);
    same(data.every((b, i) => b === plaintext[i]), true);
  },

  async "a store keeps keys"() {
    const store = await openStore({ record: "kept" });
    const [identity, knownPeers] = [await Identity.generate("kept"), await KnownPeers.create()];
    await knownPeers.admit({ room: "r" }, (await Identity.generate("friend")).public);
    await store.save({ identity, knownPeers });
    await store.close();
    const again = await openStore({ record: "kept" });
    const content = await again.load();
    same(content.identity.fingerprint, identity.fingerprint);
    same((await content.knownPeers.admitted({ room: "r" })).length, 1);
    sessionStorage.setItem("fingerprint", identity.fingerprint); // the store stays open, as where a user reloads
  },

  async "after a reload they are there"() {
    await init();
    const store = await openStore({ record: "kept" });
    same((await store.load()).identity.fingerprint, sessionStorage.getItem("fingerprint"));
    await store.close();
  },

  async "two pages meet at a relay"() {
    const { ann, bob, replay } = await pair();
    const [hers, his] = [await RelayClient.connect(`${services}/relay`), await RelayClient.connect(`${services}/relay`)];
    await hers.join("room", "ann", ann.public.bytes);
    await his.join("room", "bob", bob.public.bytes);
    await hers.publish("room", await seal(encoder.encode("over the relay"), { from: ann, to: [bob.public] }));
    for await (const event of his) {
      if (event.type !== "message") continue;
      same(decoder.decode((await open(event.payload, { identity: bob, from: ann.public, replay })).data), "over the relay");
      break;
    }
    hers.close();
    his.close();
  },

  async "a session sends, receives and calls"() {
    const session = await toServices();
    const sent = Promise.all(Array.from({ length: 200 }, (_, i) => session.send(`message ${i}`)));
    let next = 0;
    for await (const message of session) {
      same(message.text(), `message ${next++}`);
      if (next === 200) break;
    }
    await sent;
    same((await session.call("echo", "grüße")).text(), "grüße");
    same((await fails(session.call("none", ""), "refused")).reason, "type");
    await session.close();
    same((await session.closed).reason, "closed");
  },

  async "a session outlives its connection"() {
    const states = [];
    const session = await toServices({ onstate: ({ state }) => states.push(state) });
    for (let i = 0; i < 3; i++) {
      const echoes = Array.from({ length: 20 }, (_, j) => session.call("echo", `${i} ${j}`));
      await session.call("cut", "").catch(() => {});
      same((await Promise.all(echoes)).map((echo) => echo.text()), echoes.map((_, j) => `${i} ${j}`));
    }
    same([states[0], states.includes("reconnecting")], ["connecting", true]);
    await session.close();
  },
};

const long = {
  async "a module worker has a core of its own"() {
    const { bob, replay } = await pair();
    const worker = new Worker("worker.js", { type: "module" });
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ to: bob.public.bytes, text: "from a worker" });
    });
    worker.terminate();
    if (answer.error) throw new Error(answer.error);
    const from = await PublicIdentity.parse(answer.from);
    same(decoder.decode((await open(answer.sealed, { identity: bob, from, replay })).data), "from a worker");
  },

  async "a large message crosses a session"() {
    const session = await toServices();
    const large = new Uint8Array(900_000).map((_, i) => i ^ (i >> 8));
    await session.sendMessage("large", large);
    const back = await session.receive();
    same([back.type, back.bytes().length, back.bytes().every((b, i) => b === large[i])], ["large", large.length, true]);
    await session.close();
  },

  async "who is not the one that was meant gets nothing"() {
    await fails(toServices({ verifier: (await Identity.generate("other")).public }), "trust-unknown");
    await fails(toServices({ protocol: "echo/2" }), "handshake");
  },

  async "a store is locked to one page, A20"() {
    const store = await openStore({ record: "locked" });
    const frame = await otherPage();
    const there = frame.contentWindow.suite.hopseal;
    await there.init();
    same((await there.openStore({ record: "locked" }).catch((e) => e)).code, "store-in-use");
    await store.close();
    const taken = await there.openStore({ record: "locked" });
    same((await openStore({ record: "locked" }).catch((e) => e)).code, "store-in-use");
    await taken.close();
    frame.remove();
  },

  async "a page that goes leaves its lock"() {
    const frame = await otherPage();
    await frame.contentWindow.suite.hopseal.init();
    await frame.contentWindow.suite.hopseal.openStore({ record: "left" });
    frame.remove();
    for (let tries = 0; ; tries++) {
      const store = await openStore({ record: "left" }).catch((e) => e);
      if (!store.code) return store.close();
      same([store.code, tries < 50], ["store-in-use", true]);
      await new Promise((done) => setTimeout(done, 100));
    }
  },

  async "keys at rest are wrapped, A44"() {
    const database = await done(indexedDB.open("hopseal"));
    const all = (name) => done(database.transaction(name).objectStore(name).getAll());
    const [key] = await all("keys");
    same([key instanceof CryptoKey, key.extractable], [true, false]);
    for (const format of ["raw", "jwk"]) same(await crypto.subtle.exportKey(format, key).then(() => "out", () => "kept"), "kept");
    for (const { data } of await all("records")) same(decoder.decode(data).includes("friend"), false);
    database.close();
  },

  async "bytes of another realm are bytes, and transferred ones are refused"() {
    const { ann, bob, replay } = await pair();
    const frame = await otherPage();
    const foreign = new frame.contentWindow.Uint8Array([1, 2, 3]);
    const sealed = await seal(foreign, { from: ann, to: [bob.public] });
    same([...(await open(sealed, { identity: bob, from: ann.public, replay })).data], [1, 2, 3]);
    frame.remove();
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    await fails(seal(gone, { from: ann, to: [bob.public] }), "bad-argument");
    await Identity.generate("still there");
  },

  async "what a broken deployment serves is named"() {
    const frame = await otherPage();
    const there = (source) => frame.contentWindow.suite.hopseal.init(source).catch((e) => e);
    same((await there("/nothing.wasm")).code, "core-fetch");
    same((await there("/html.wasm")).code, "core-not-wasm");
    same((await there("/cut.wasm")).retryable, true);
    same((await there("/plain.wasm")).buildId?.length, 32); // under a wrong type it starts all the same
    frame.remove();
  },

  async "nothing was thrown at the page"() {
    same(problems, []);
  },
};

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// otherPage opens the same page in a frame: for the browser it is another one of this origin, as a second tab is.
async function otherPage() {
  const frame = document.createElement("iframe");
  frame.src = location.href;
  document.body.append(frame);
  while (!frame.contentWindow.suite) await new Promise((resolve) => setTimeout(resolve, 20));
  return frame;
}

window.suite = {
  hopseal,
  short: Object.keys(short),
  long: Object.keys(long),
  run: (name) => ({ ...short, ...long })[name](),
};
