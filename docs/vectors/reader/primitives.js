// Hashes, key derivation, AEADs and signatures of node:crypto, in the document's terms.
import {
  createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, verify,
} from 'node:crypto'
import { attempt, refuse } from './refuse.js'

export const concat = (...parts) => Buffer.concat(parts)
export const ascii = (text) => Buffer.from(text, 'ascii')
export const L = (purpose) => ascii(`hopseal/1 ${purpose}\0`)

// H hashes the concatenation of its arguments.
export const H = (...parts) => createHash('sha256').update(concat(...parts)).digest()

export const hmac = (key, ...parts) => createHmac('sha256', key).update(concat(...parts)).digest()

// RFC 5869.
export const extract = (salt, ikm) => hmac(salt, ikm)
export function expand(prk, info, n) {
  const blocks = []
  for (let i = 1; i * 32 < n + 32; i++) blocks.push(hmac(prk, blocks.at(-1) ?? Buffer.alloc(0), info, Uint8Array.of(i)))
  return concat(...blocks).subarray(0, n)
}
export const HKDF = (ikm, info, n, salt = Buffer.alloc(0)) => expand(extract(salt, ikm), info, n)

const nonceSize = 12
const tagSize = 16

// openGCM opens ciphertext ‖ tag with AES-256-GCM.
export function openGCM(key, nonce, sealed, aad = Buffer.alloc(0)) {
  if (nonce.length !== nonceSize || sealed.length < tagSize) refuse()
  const tag = sealed.length - tagSize
  const aead = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize })
  aead.setAAD(aad).setAuthTag(sealed.subarray(tag))
  const opened = aead.update(sealed.subarray(0, tag))
  attempt(() => aead.final())
  return opened
}

// openXAES opens ciphertext ‖ tag with XAES-256-GCM (C2SP): a key of AES-CMAC over half of the nonce, which is
// one block for each half of the key, and so one encryption each.
export function openXAES(key, nonce, sealed, aad) {
  if (nonce.length !== 2 * nonceSize) refuse()
  const k1 = double(encryptBlock(key, Buffer.alloc(16)))
  const half = (i) => {
    const m = concat(Uint8Array.of(0, i), ascii('X\0'), nonce.subarray(0, nonceSize))
    return encryptBlock(key, m.map((b, j) => b ^ k1[j]))
  }
  return openGCM(concat(half(1), half(2)), nonce.subarray(nonceSize), sealed, aad)
}

function encryptBlock(key, block) {
  const aes = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  return concat(aes.update(block), aes.final())
}

// double multiplies by x in GF(2^128) (NIST SP 800-38B, section 6.1).
function double(block) {
  return Buffer.from(block.map((b, i) => (b << 1) ^ (i < 15 ? block[i + 1] >> 7 : (block[0] >> 7) * 0x87)))
}

// ed25519Public is the public half of a seed.
export function ed25519Public(seed) {
  const pkcs8 = concat(Buffer.from('302e020100300506032b657004220420', 'hex'), seed) // RFC 8410
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')
}

export function verifyEd25519(publicKey, message, signature) {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }
  const key = attempt(() => createPublicKey({ key: jwk, format: 'jwk' }))
  if (!attempt(() => verify(null, message, key, signature))) refuse()
}

export const uint32 = (b) => Buffer.from(b.buffer, b.byteOffset, b.byteLength).readUInt32BE(0)

export const readUint64 = (b) => Buffer.from(b.buffer, b.byteOffset, b.byteLength).readBigUInt64BE(0)

export function uint64(n) {
  const b = Buffer.alloc(8)
  b.writeBigUInt64BE(BigInt(n))
  return b
}
