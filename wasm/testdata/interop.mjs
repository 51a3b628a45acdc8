// The JavaScript side of TestInterop: reads what Go made from the file named as the
// argument, and writes what this side made of it to standard output.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as hopseal from "../npm/index.js";
import * as cleartext from "../npm/insecure-cleartext.js";
import { anyTime } from "../npm/test/helpers.mjs";

const { init, Identity, KnownPeers, open, PublicIdentity, seal, SharedKeyset } = hopseal;
await init();

const given = JSON.parse(await readFile(process.argv[2], "utf8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (value) => Buffer.from(value).toString("base64");

const ann = await PublicIdentity.parse(bytes(given.ann)); // lives in Go
const bob = await cleartext.importIdentity(bytes(given.bob)); // given to this side
const shared = await cleartext.importSharedKeyset(bytes(given.shared));
assert.equal(ann.fingerprint, given.annFingerprint);
assert.equal(ann.name, "ann");
assert.equal(bob.fingerprint, given.bobFingerprint);

const replay = await anyTime();
const openers = {
  recipients: { identity: bob, from: ann },
  shared: { shared, party: "js", fromParty: "go" },
  "shared-signed": { shared, party: "js", identity: bob, from: ann },
};
for (const { suite, sealed, plaintext } of given.messages) {
  const { data, header } = await open(bytes(sealed), { ...openers[suite], context: "interop", replay });
  assert.deepEqual(data, bytes(plaintext));
  assert.equal(header.suite, suite);
  assert.equal(header.contentType, "from go");
}

const peers = await KnownPeers.parse(bytes(given.peers));
await peers.verify({ room: "room" }, ann);
await peers.admit({ room: "room" }, bob.public);

const cid = await Identity.generate("cid"); // made by this side
const newShared = await SharedKeyset.generate();
await cid.renew();
const sealers = {
  recipients: { from: cid, to: [ann, bob.public] },
  shared: { shared, party: "js", toParty: "go" },
  "shared-signed": { shared, from: cid, toParty: "go" },
};
const messages = [];
for (const [suite, options] of Object.entries(sealers)) {
  for (const size of [0, 1, 1000, 100_000]) {
    const plaintext = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
    const sealed = await seal(plaintext, { ...options, context: "interop", contentType: "from js" });
    messages.push({ suite, sealed: text(sealed), plaintext: text(plaintext) });
  }
}
console.log(
  JSON.stringify({
    cid: text(cid.public.bytes),
    cidSecret: text(await cleartext.exportIdentity(cid)),
    cidFingerprint: cid.fingerprint,
    bob: text(await cleartext.exportIdentity(bob)),
    shared: text(await cleartext.exportSharedKeyset(newShared)),
    peers: text(await peers.bytes()),
    messages,
  }),
);
