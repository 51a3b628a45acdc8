// Times the package, in Node and in a page. Returns microseconds per operation: the
// best of several batches, which other work on the machine disturbs least.

export async function measure(hopseal, core) {
  const { Identity, KnownPeers, open, ReplayGuard, seal, SharedKeyset } = hopseal;
  const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  const shared = await SharedKeyset.generate();
  const peers = await KnownPeers.create();
  const [ofBob, ofShared] = [await ReplayGuard.create({ identity: bob }), await ReplayGuard.create({ shared })];
  const results = {};

  async function time(name, count, run) {
    let best = Infinity;
    for (let batch = 0; batch < 7; batch++) {
      const since = performance.now();
      for (let i = 0; i < count; i++) await run(i);
      best = Math.min(best, performance.now() - since);
    }
    results[name] = (best / count) * 1000;
  }

  // pair times sealing, and opening of what was sealed: once each.
  async function pair(name, count, sealer, opener) {
    const sealed = [];
    await time(`${name}-seal-us`, count, async () => sealed.push(await seal(sealer.plaintext, sealer.options)));
    await time(`${name}-open-us`, count, () => open(sealed.pop(), { ...opener, replay: opener.shared ? ofShared : ofBob }));
  }

  core.call(1);
  await time("call-us", 20_000, () => core.call(1));
  await time("small-async-call-us", 20_000, () => peers.bytes());
  for (const size of [64, 1024]) {
    const plaintext = new Uint8Array(size);
    const options = { from: ann, to: [bob.public] };
    await pair(`recipient-${size}B`, 60, { plaintext, options }, { identity: bob, from: ann.public });
    const sharing = { shared, party: "x", toParty: "y" };
    await pair(`shared-${size}B`, 300, { plaintext, options: sharing }, { shared, party: "y", fromParty: "x" });
  }
  // Large ones, with WebCrypto and in the core alone.
  for (const [size, count] of [[4 << 10, 30], [16 << 10, 20], [64 << 10, 10], [1 << 20, 2]]) {
    const plaintext = new Uint8Array(size);
    const options = { shared, from: ann, toParty: "y" };
    const opener = { shared, identity: bob, from: ann.public, party: "y" };
    for (const way of ["", "-core"]) {
      if (way) Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
      await pair(`signed-${size >> 10}KiB${way}`, count, { plaintext, options }, opener);
      delete crypto.subtle;
    }
  }
  return results;
}
