// Every vector does what it says, and whatever opens is refused after any change.
//
// HOPSEAL_READ_VECTORS names another folder of vectors.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  Opener, checkCurrent, checkVoucher, open, openStream, parseFingerprint, parseIdentity, parsePrivateIdentity,
  parseSharedKeyset, parseSuccession, safetyNumber, scanCode,
} from './reader.js'

const folder = process.env.HOPSEAL_READ_VECTORS ?? join(import.meta.dirname, '..', 'envelope')
const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
const refused = { message: 'does not open' }

// A changed message costs up to one opening. What is long, or decapsulates before it fails, is changed in fewer places.
function maxChanges(c) {
  if (!messages.has(c.kind)) return 100
  return c.sealed.length > 100_000 || c.kind === 'stream' && c.sealing ? 300 : 1500
}

const unhex = (hex) => hex === undefined ? undefined : Buffer.from(hex, 'hex')

function openerOf(c) {
  return new Opener({
    party: c.party, fromParty: c.fromParty, context: c.context, from: unhex(c.from), fingerprint: unhex(c.fingerprint),
    sealing: c.sealing?.map(unhex), archived: c.archived?.map(unhex),
    shared: c.shared?.map(({ type, aead, mac }) => ({ type, aead: unhex(aead), mac: unhex(mac) })),
  })
}

const messages = new Map([['envelope', open], ['stream', openStream]])

// judges are of the other kinds. What is not authentic can be changed unnoticed.
const judges = {
  'identity': (c) => (sealed) => {
    const identity = parseIdentity(sealed)
    if (c.now) checkCurrent(identity, unhex(c.expected), c.now)
  },
  'succession': () => (sealed) => void parseSuccession(sealed),
  'voucher': (c) => {
    const [authority, vouched] = [c.from, c.vouched].map((b) => parseIdentity(unhex(b)))
    const { address = '', room = '', role = 0 } = c
    return (sealed) => checkVoucher(sealed, authority, { address, room, role }, vouched, c.now)
  },
  'fingerprint': () => (sealed) => parseFingerprint(sealed),
  'safety': (c) => (sealed) => {
    const [own, peer] = [c.fingerprint, c.peer].map(unhex)
    assert.deepEqual([safetyNumber(own, peer), safetyNumber(peer, own)], [c.number, c.number])
    scanCode(sealed, own, peer)
  },
  'private identity': () => (sealed) => void parsePrivateIdentity(sealed),
  'shared keyset': () => (sealed) => void parseSharedKeyset(sealed),
}
const authentic = ({ kind }) => !['fingerprint', 'private identity', 'shared keyset'].includes(kind)

// readerOf returns a function of the sealed bytes; making it may already refuse the sender's identity.
function readerOf(c) {
  if (!messages.has(c.kind)) return judges[c.kind](c)
  const opener = openerOf(c)
  const read = messages.get(c.kind)
  return (sealed) => read(sealed, opener)
}

function expected(c) {
  if (!messages.has(c.kind) && c.kind !== 'fingerprint') return undefined
  const { plaintext, plaintextRepeat: repeat } = c
  return repeat ? Buffer.alloc(repeat.count, repeat.byte) : unhex(plaintext ?? '')
}

// spread returns at most max of the numbers below n, the first and the last among them.
function* spread(n, max) {
  const step = Math.max(1, (n - 1) / (max - 1))
  for (let i = 0; Math.round(i) < n; i += step) yield Math.round(i)
}

function* flips(sealed, max) {
  const each = sealed.length * 8 <= max ? 1 : 8 // every bit, or one bit of a byte, another one of the next
  for (const i of spread(sealed.length * 8 / each, max)) {
    const [at, bit] = each === 1 ? [i >> 3, i & 7] : [i, i % 8]
    const changed = Buffer.from(sealed)
    changed[at] ^= 1 << bit
    yield [`bit ${bit} of byte ${at}`, changed]
  }
}

function* prefixes(sealed, max) {
  for (const n of spread(sealed.length, max / 4)) yield [`${n} bytes`, sealed.subarray(0, n)]
}

function* extensions(sealed, max) {
  for (const b of spread(256, max / 4)) yield [`one more byte, ${b}`, Buffer.concat([sealed, Uint8Array.of(b)])]
}

test('there are vectors to read, of both outcomes', () => {
  const outcomes = new Set(names.map((name) => JSON.parse(readFileSync(join(folder, name))).expect === 'open'))
  assert.deepEqual(outcomes, new Set([true, false]))
})

for (const name of names) {
  const c = JSON.parse(readFileSync(join(folder, name)))
  const sealed = unhex(c.sealed)
  test(`${name}: ${c.comment}`, () => {
    if (c.expect !== 'open') {
      assert.throws(() => readerOf(c)(sealed), refused)
      return
    }
    const read = readerOf(c)
    const content = read(sealed)
    assert.deepEqual(content && Buffer.from(content), expected(c))
    if (!authentic(c)) return
    for (const changes of [flips, prefixes, extensions]) {
      for (const [what, changed] of changes(sealed, maxChanges(c))) assert.throws(() => read(changed), refused, what)
    }
  })
}
