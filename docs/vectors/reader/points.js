// The checks that public keys pass on entry (section 2).
import { refuse } from './refuse.js'
import { x25519 } from './xwing.js'

const p = 2n ** 255n - 19n
const d = mod(-121665n * invert(121666n))

// checkEd25519 refuses what is not reduced or is of small order. A key that no point has is neither: no signature
// verifies under it.
export function checkEd25519(key) {
  const n = littleEndian(key)
  const y = n & (2n ** 255n - 1n)
  if (y >= p) refuse()
  const x = recoverX(y, n >> 255n)
  if (x === undefined) return
  let point = { x, y }
  for (let i = 0; i < 3; i++) point = double(point)
  if (point.x === 0n && point.y === 1n) refuse() // eight times it is the neutral element
}

// RFC 8032, section 5.1.3.
function recoverX(y, sign) {
  const u = mod(y * y - 1n)
  const v = mod(d * y * y + 1n)
  const x2 = mod(u * invert(v))
  let x = power(x2, (p + 3n) / 8n)
  if (mod(x * x) !== x2) x = mod(x * power(2n, (p - 1n) / 4n))
  if (mod(x * x) !== x2) return undefined
  return (x & 1n) === sign ? x : mod(-x)
}

function double({ x, y }) {
  const t = d * x * x * y * y
  return { x: mod(2n * x * y * invert(1n + t)), y: mod((y * y + x * x) * invert(1n - t)) }
}

// checkXWing checks ML-KEM-768 ‖ X25519.
export function checkXWing(key) {
  checkMLKEM(key.subarray(0, 1184))
  checkX25519(key.subarray(1184))
}

// FIPS 203, section 7.2: the coefficients, of 12 bits each, are reduced. The last 32 bytes are a seed.
export function checkMLKEM(key) {
  for (let i = 0; i < 1152; i += 3) {
    const low = key[i] | (key[i + 1] & 0x0f) << 8
    const high = key[i + 1] >> 4 | key[i + 2] << 4
    if (low >= 3329 || high >= 3329) refuse()
  }
}

// A clamped scalar is a multiple of 8, and of no other order that a point can have: only points of small order give
// zero, and those x25519 refuses.
function checkX25519(key) {
  if (littleEndian(key) >= p) refuse() // the top bit included
  x25519(new Uint8Array(32).fill(1), key)
}

const littleEndian = (bytes) => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'))

function mod(n) {
  return (n % p + p) % p
}

function invert(n) {
  return power(n, p - 2n)
}

function power(base, exponent) {
  let result = 1n
  for (let b = mod(base); exponent > 0n; exponent >>= 1n, b = mod(b * b)) {
    if (exponent & 1n) result = mod(result * b)
  }
  return result
}
