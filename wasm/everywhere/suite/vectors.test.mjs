// The vectors of docs/vectors through the package: what it has a function for.
import { otherPage, same, test } from "./page.mjs";

const bytes = (hex = "") => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

// What the package says where the vectors have the words of Go.
const words = {
  "body does not open": "body",
  "content key does not open": "key",
  "made for another context": "context",
  "own message returned": "reflected",
  "proof does not verify": "proof",
  refused: "invalid",
  "sealed to others": "not-for-us",
  "sender's statement has expired": "sender-expired",
  "signed by a key that the sender's statement does not list": "unlisted",
  "unexpected sender": "sender",
  "unexpected suite": "suite",
  "unknown version": "version",
  unusable: "bad-argument",
};

// readersOf say of a vector whether it opens: with its plaintext, or with undefined where it has none.
function readersOf({ cleartext, hopseal, clock }) {
  const { inspect, open, PublicIdentity, ReplayGuard } = hopseal;
  const anyTime = () => ReplayGuard.parse(Uint8Array.of(0x95, 3, 0xc4, 0, 0xce, 0, 4, 0x93, 0xe0, 0, 0x90)); // where nothing was opened
  return {
    async envelope(v) {
      const sealed = bytes(v.sealed);
      clock.at = await inspect(sealed).then(
        ({ header }) => header.time,
        () => clock.at,
      ); // the vectors are old
      const opener = { replay: await anyTime(), context: v.context };
      if (v.keyset)
        Object.assign(opener, {
          shared: await cleartext.importSharedKeyset(bytes(v.keyset)),
          party: v.party,
          fromParty: v.fromParty,
        });
      if (v.identity) opener.identity = await cleartext.importIdentity(bytes(v.identity));
      if (v.from) opener.from = await PublicIdentity.parse(bytes(v.from));
      return (await open(sealed, opener)).data;
    },
    identity: (v) => PublicIdentity.parse(bytes(v.sealed)).then(() => undefined),
    "private identity": (v) => cleartext.importIdentity(bytes(v.sealed)).then(() => undefined),
    "shared keyset": (v) => cleartext.importSharedKeyset(bytes(v.sealed)).then(() => undefined),
  };
}

test("each vector opens, or is refused for its reason", async () => {
  const { window: other, hopseal, cleartext, close } = await otherPage();
  const clock = { at: new Date() };
  other.Date = class extends other.Date {
    constructor(...args) {
      super(...(args.length ? args : [clock.at.getTime()]));
    }
  };
  await hopseal.init();
  const readers = readersOf({ cleartext, hopseal, clock });
  const wrong = [];
  let tried = 0;
  for (const [name, v] of Object.entries(await (await fetch("/vectors.json")).json())) {
    if (!readers[v.kind] || v.now || v.archived) continue; // the package has no function for those
    tried++;
    const [data, error] = await readers[v.kind](v).then(
      (data) => [data, null],
      (error) => [null, error],
    );
    const got = error ? (error.reason ?? error.code) : "open";
    if (got !== (words[v.expect] ?? v.expect)) wrong.push(`${name}: ${got}, want ${v.expect}`);
    if (data && v.plaintext !== undefined) same([...data], [...bytes(v.plaintext)]);
    if (data && v.plaintextRepeat)
      same([data.length, data.every((b) => b === v.plaintextRepeat.byte)], [v.plaintextRepeat.count, true]);
  }
  close();
  if (wrong.length || tried < 300) throw new Error(`${wrong.length} of ${tried}:\n${wrong.join("\n")}`);
  return `${tried} vectors`;
});
