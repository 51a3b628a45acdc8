import { decoder, hopseal, pair, same, test } from "./page.mjs";

const { open, PublicIdentity } = hopseal;

// A worker has a core of its own.
async function sealsIn(post) {
  const { bob, replay } = await pair();
  const answer = await post({ to: bob.public.bytes, text: "from a worker" });
  if (answer.error) throw new Error(answer.error);
  const from = await PublicIdentity.parse(answer.from);
  same(decoder.decode((await open(answer.sealed, { identity: bob, from, replay })).data), "from a worker");
}

for (const [kind, options] of [
  ["module", { type: "module" }],
  ["classic", {}],
]) {
  test(`a ${kind} worker seals`, () =>
    sealsIn(async (request) => {
      const worker = new Worker(`/workers/${kind}.js`, options);
      try {
        return await new Promise((resolve, reject) => {
          worker.onmessage = (event) => resolve(event.data);
          worker.onerror = (event) => reject(new Error(event.message));
          worker.postMessage(request);
        });
      } finally {
        worker.terminate();
      }
    }));
}

test("a service worker seals", () =>
  sealsIn(async (request) => {
    const registration = await navigator.serviceWorker.register("/workers/module.js", {
      type: "module",
      scope: "/workers/",
    });
    try {
      const worker = registration.installing ?? registration.waiting ?? registration.active;
      return await new Promise((resolve, reject) => {
        navigator.serviceWorker.onmessage = (event) => resolve(event.data);
        navigator.serviceWorker.startMessages();
        setTimeout(reject, 20_000, new Error("the service worker does not answer"));
        worker.postMessage(request);
      });
    } finally {
      await registration.unregister();
    }
  }));
