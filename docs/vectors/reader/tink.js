// Tink's keysets in clear (section 2.4): protobuf with each field once and in order, and zeros left out.
import { ed25519Public } from './primitives.js'
import { refuse, same } from './refuse.js'
import { expandSeed } from './xwing.js'

const url = 'type.googleapis.com/google.crypto.tink.'
const [tink, raw, crunchy] = [1, 3, 4] // prefixes

// kinds say how the value of a key is laid out: how its secret is read, and its public half, from which secret.
const kinds = {
  Ed25519PrivateKey: { material: 2, read: (m) => [m.bytes(2), nested(m.bytes(3), (p) => p.bytes(2))], publicOf: ed25519Public },
  HpkePrivateKey: {
    material: 2, publicOf: (seed) => expandSeed(seed).publicKey,
    read: (m) => [m.bytes(2), m.bytes(3)].reverse().map((b, i) => i === 0 ? b : nested(b, (p) => {
      nested(p.bytes(2), parameters(5, 1, 2))
      return p.bytes(3)
    })),
  },
  XAesGcmKey: { material: 1, read: (m) => (nested(m.bytes(2), parameters(12)), [m.bytes(3)]) },
  HmacKey: { material: 1, read: (m) => (nested(m.bytes(2), parameters(3, 32)), [m.bytes(3)]) },
  AesGcmKey: { material: 1, read: (m) => [m.bytes(3)] },
}

const parameters = (...wanted) => (m) => wanted.forEach((n, i) => m.number(i + 1) === n || refuse())

// parseTink returns keys of one kind, in order, with the id of the primary.
export function parseTink(bytes, kind) {
  return nested(bytes, (m) => {
    const primary = m.number(1)
    const keys = []
    while (m.next(2)) keys.push(nested(m.bytes(2), (k) => parseKey(k, kind)))
    const ids = keys.map(({ id }) => id)
    if (new Set(ids).size !== ids.length || !keys.some(({ id, enabled }) => id === primary && enabled)) refuse()
    return { primary, keys }
  })
}

function parseKey(m, kind) {
  const { material, read, publicOf } = kinds[kind]
  const [secret, shown] = nested(m.bytes(1), (d) => {
    if (d.bytes(1).toString('latin1') !== url + kind) refuse()
    const value = nested(d.bytes(2), read)
    if (d.number(3) !== material) refuse()
    return value
  })
  const [status, id, prefix] = [m.number(2), m.number(3), m.number(4)]
  if (![1, 2].includes(status) || ![tink, raw, crunchy].includes(prefix) || secret.length !== 32) refuse()
  if (kind === 'XAesGcmKey' && prefix === crunchy) refuse()
  const publicKey = publicOf?.(secret)
  if (publicKey && !same(publicKey, shown)) refuse()
  return { id, enabled: status === 1, secret, publicKey }
}

// nested reads a message with f, to its end.
function nested(bytes, f) {
  const m = new Message(bytes)
  const result = f(m)
  if (m.at !== bytes.length) refuse()
  return result
}

class Message {
  at = 0
  constructor(data) { this.data = data }

  next(field, wire = 2) { return this.data[this.at] === (field << 3 | wire) }

  // number is 0 where the field is absent, and nowhere else.
  number(field) {
    if (!this.next(field, 0)) return 0
    this.at++
    return this.varint() || refuse()
  }

  bytes(field) {
    if (!this.next(field)) refuse()
    this.at++
    const end = this.varint() + this.at
    if (end > this.data.length) refuse()
    const b = Buffer.from(this.data.subarray(this.at, end))
    this.at = end
    return b
  }

  // varint is below 2^32, in its shortest form.
  varint() {
    for (let n = 0, i = 0; i < 5; i++) {
      const b = this.data[this.at++] ?? refuse()
      n += (b & 0x7f) * 128 ** i
      if (b < 0x80) return n < 2 ** 32 && (b > 0 || i === 0) ? n : refuse()
    }
    return refuse()
  }
}
