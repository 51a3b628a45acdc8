// Texts that people pass on: fingerprints (section 2), safety numbers and codes (2.3).
import { createHash } from 'node:crypto'
import { L, concat } from './primitives.js'
import { refuse, same } from './refuse.js'
import { utf8 } from './strict.js'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const scheme = 'hopseal:compare/1/'

// parseFingerprint takes the text as bytes.
export function parseFingerprint(bytes) {
  const [, digits] = /^fp1([a-z2-7]{52})$/.exec(utf8(bytes).replaceAll(' ', '')) ?? refuse()
  const value = [...digits].reduce((n, c) => n * 32n + BigInt(alphabet.indexOf(c)), 0n) // 260 bits
  if (value % 16n !== 0n) refuse()
  return Buffer.from((value / 16n).toString(16).padStart(64, '0'), 'hex')
}

export function safetyNumber(a, b) {
  const [smaller, larger] = [a, b].sort(Buffer.compare)
  const sum = createHash('sha512').update(concat(L('keys safety number'), smaller, larger)).digest()
  const group = (_, i) => String(sum.readUIntBE(5 * i, 5) % 100_000).padStart(5, '0')
  return Array.from({ length: 12 }, group).join(' ')
}

// scanCode refuses unless the peer sees both as the reader does.
export function scanCode(bytes, own, peer) {
  const text = utf8(bytes)
  if (!text.startsWith(scheme) || text.includes(' ')) refuse()
  const shown = text.slice(scheme.length).split('/').map((f) => parseFingerprint(Buffer.from(f)))
  if (shown.length !== 2 || !same(shown[0], peer) || !same(shown[1], own)) refuse()
}
