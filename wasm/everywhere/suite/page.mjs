// What the tests in a page share. A file of tests calls test(); the runner calls one test after the other.
const before = Reflect.ownKeys(globalThis);
export const problems = []; // what nobody caught
addEventListener("error", (event) => problems.push(event.message));
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason?.stack ?? event.reason)));

// Imported here and not above: the globals before it count.
export const hopseal = await import("/hopseal/index.js");
export const cleartext = await import("/hopseal/insecure-cleartext.js");

const { connect, Identity, init, PublicIdentity, ReplayGuard } = hopseal;

export const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
const tests = [];

// test adds a test, whose steps run one after the other, with a reload of the page between them. What a step returns is
// written into the log.
export function test(name, ...steps) {
  tests.push({ name, steps, short: false });
}

// test.short is for what every change is checked with in every browser; the rest is so in Chromium alone.
test.short = (name, ...steps) => tests.push({ name, steps, short: true });

window.suite = {
  hopseal,
  cleartext,
  tests: () => tests.map(({ name, steps, short }) => ({ name, steps: steps.length, short })),
  run: (name, step) => tests.find((t) => t.name === name).steps[step](),
};

export function addedGlobals() {
  const mine = (key) => before.includes(key) || key === "suite" || typeof key === "symbol"; // WebDriver adds symbols
  return Reflect.ownKeys(globalThis).filter((key) => !mine(key));
}

export function same(got, want) {
  const [a, b] = [got, want].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`got ${a}, want ${b}`);
}

// fails returns the HopsealError that the promise rejects with, whose message holds the text.
export async function fails(promise, code, text = "") {
  const error = await promise.then(
    () => null,
    (e) => e,
  );
  same([error?.name, error?.code, error?.message.includes(text) || error?.message], ["HopsealError", code, true]);
  return error;
}

export async function pair() {
  const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  return { ann, bob, replay: await ReplayGuard.create({ identity: bob }) };
}

export const { services, identity } = await (await fetch("/services.json")).json();

// toServices makes a session with the service at /echo.
export async function toServices(options) {
  const encoded = identity.replace(/-/g, "+").replace(/_/g, "/");
  const verifier = await PublicIdentity.parse(Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)));
  return connect(`${services}/echo`, {
    identity: await Identity.generate("page"),
    verifier,
    protocol: "echo/1",
    ...options,
  });
}

// otherPage opens a page of this origin in a frame, by default this one: to the browser it is what a second tab is.
// It returns the package there, which has not been started, and how to close the page.
export async function otherPage(path = location.pathname) {
  const frame = document.createElement("iframe");
  frame.src = path;
  document.body.append(frame);
  const there = () => frame.contentWindow.suite;
  await until(there);
  const { hopseal, cleartext } = there();
  return { window: frame.contentWindow, hopseal, cleartext, close: () => frame.remove() };
}

export async function until(condition) {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries === 500) throw new Error(`never: ${condition}`);
    await pause(20);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
