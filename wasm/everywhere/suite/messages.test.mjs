import { cleartext, decoder, encoder, fails, hopseal, otherPage, pair, same, test } from "./page.mjs";

const { Identity, open, ReplayGuard, seal, SharedKeyset } = hopseal;

test.short("a message is sealed and opened, once", async () => {
  const { ann, bob, replay } = await pair();
  const sealed = await seal("grüße", { from: ann, to: [bob.public], context: "c" });
  const opener = { identity: bob, from: ann.public, context: "c", replay };
  same(decoder.decode((await open(sealed, opener)).data), "grüße");
  same((await fails(open(sealed, opener), "open-failed")).reason, "replay");
});

// A page without WebCrypto, on plain http, opens what one with it sealed, and the other way round.
test.short("large bodies are WebCrypto's", async () => {
  const { ann, bob, replay: ofBob } = await pair();
  const shared = await SharedKeyset.generate();
  const ofShared = await ReplayGuard.create({ shared });
  const hide = (on) =>
    on ? Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true }) : delete crypto.subtle;
  const { subtle } = crypto;
  let used = [];
  for (const name of ["encrypt", "decrypt", "digest"]) {
    subtle[name] = (...args) => (used.push(name), Object.getPrototypeOf(subtle)[name].apply(subtle, args));
  }
  const plaintext = new Uint8Array(1 << 20).map((_, i) => i ^ (i >> 8));
  for (const [sealer, opener] of [
    [
      { from: ann, to: [bob.public] },
      { identity: bob, from: ann.public, replay: ofBob },
    ],
    [
      { shared, party: "x", toParty: "y" },
      { shared, party: "y", fromParty: "x", replay: ofShared },
    ],
    [
      { shared, from: ann, toParty: "y" },
      { shared, party: "y", identity: bob, from: ann.public, replay: ofShared },
    ],
  ]) {
    for (const [sealing, opening] of [
      [false, false],
      [false, true],
      [true, false],
    ]) {
      used = [];
      hide(sealing);
      const sealed = await seal(plaintext, sealer);
      hide(opening);
      const { data } = await open(sealed, opener);
      hide(false);
      same([data.length, data.every((b, i) => b === plaintext[i])], [plaintext.length, true]);
      same(used, [...(sealing ? [] : ["encrypt", "digest"]), ...(opening ? [] : ["digest", "decrypt"])]);
    }
  }
  for (const name of ["encrypt", "decrypt", "digest"]) delete subtle[name];
});

test("bytes of another realm are bytes, and transferred ones are refused", async () => {
  const { ann, bob, replay } = await pair();
  const { window: other, close } = await otherPage();
  for (const foreign of [
    new other.Uint8Array([1, 2, 3]),
    new other.Uint8Array([1, 2, 3]).buffer,
    new other.DataView(new other.Uint8Array([1, 2, 3]).buffer),
  ]) {
    const sealed = await seal(foreign, { from: ann, to: [bob.public] });
    same([...(await open(sealed, { identity: bob, from: ann.public, replay })).data], [1, 2, 3]);
  }
  close();
  const gone = new Uint8Array(8);
  structuredClone(gone, { transfer: [gone.buffer] });
  await fails(seal(gone, { from: ann, to: [bob.public] }), "bad-argument", "transferred");
  await Identity.generate("still there");
});

test("what is returned goes into a Blob, a Response and a digest", async () => {
  const { ann, bob } = await pair();
  const sealed = await seal(encoder.encode("x"), { from: ann, to: [bob.public] });
  same((await new Blob([sealed]).arrayBuffer()).byteLength, sealed.length);
  same((await new Response(sealed).arrayBuffer()).byteLength, sealed.length);
  same((await crypto.subtle.digest("SHA-256", await cleartext.exportIdentity(ann))).byteLength, 32);
});
