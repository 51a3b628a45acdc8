// Public identities and the names of keys (section 2).
import { checkEd25519, checkXWing } from './points.js'
import { H, HKDF, L, ascii, concat, verifyEd25519 } from './primitives.js'
import { refuse, same } from './refuse.js'
import { array, bin, exactly, list, structure, text, uint } from './strict.js'

const maxSize = 6144
const maxLifetime = 2_592_000 // seconds, 30 days
const revoked = 2n ** 64n - 1n
const signing = 1
const sealing = 2

const identityShape = array(bin(0, maxSize), bin(64))
export const time = uint(2 ** 40) // Unix seconds
const keyShape = array(uint(3), uint(3), bin(32, 1216), time, time)
const statementShape = array(exactly(1), text(1, 128), bin(32), uint(2n ** 64n), time, time, list(keyShape, 0, 64))

export const fingerprint = (root) => H(L('keys fingerprint'), root)
export const signingKeyID = (key) => H(L('keys signing key id'), Uint8Array.of(0x01), key)
export const sealingKeyID = (key) => H(L('keys sealing key id'), Uint8Array.of(0x02), key)

// sharedKeyID takes a pair of a type, as Tink calls it, and 32 bytes for each of aead and mac.
export function sharedKeyID({ type, aead, mac }) {
  const types = { X_AES_GCM: 'XAesGcmKey salt 12\0', AES256_GCM: 'AesGcmKey 32\0' }
  const info = concat(L('keys shared key id'), ascii(types[type] ?? refuse()), ascii('HmacKey SHA256 32\0'))
  return HKDF(concat(aead, mac), info, 32)
}

// parseIdentity judges all of section 2.1 but what needs a clock, an expected root or a memory.
export function parseIdentity(bytes) {
  if (bytes.length > maxSize) refuse()
  const [statement, signature] = structure(bytes, identityShape)
  const [, name, root, serial, issued, expires, keys] = structure(statement, statementShape)
  verifyEd25519(root, concat(L('keys public identity'), statement), signature)
  const identity = {
    name, root, fingerprint: fingerprint(root), serial: BigInt(serial),
    issued: Number(issued), expires: Number(expires), revoked: BigInt(serial) === revoked,
    signing: keysOf(signing, keys), sealing: keysOf(sealing, keys),
  }
  checkEd25519(root) // after the signature, which costs less
  checkStatement(identity, keys)
  return identity
}

// clockSkew is by how much clocks may differ, in seconds.
export const clockSkew = 300

// checkCurrent is what section 2.1 asks of a verifier that keeps no state.
export function checkCurrent({ fingerprint, issued, expires, signing, revoked }, expected, now) {
  if (!same(fingerprint, expected) || revoked) refuse()
  if (expires <= now || issued > now + clockSkew) refuse()
  const [{ from, to }] = signing
  if (from > now + clockSkew || to !== 0 && to <= now - clockSkew) refuse()
}

// validKey finds a signing key by its id, at a time in seconds.
export function validKey({ signing }, id, t) {
  const key = signing.find((k) => same(k.id, id)) ?? refuse()
  if (t < key.from || key.to !== 0 && t >= key.to) refuse()
  return key
}

function keysOf(wanted, keys) {
  return keys.filter(([use]) => use === wanted).map(([use, type, key, from, to]) => ({
    id: use === signing ? signingKeyID(key) : sealingKeyID(key), type, key, from: Number(from), to: Number(to),
  }))
}

function checkStatement(identity, keys) {
  const { issued, expires, signing, sealing, revoked } = identity
  if (identity.serial === 0n || expires <= issued || expires - issued > maxLifetime) refuse()
  if (revoked ? keys.length > 0 : signing.length === 0 || sealing.length === 0) refuse()
  if (keys.length !== signing.length + sealing.length) refuse() // another use
  if (keys.some(([use], i) => i > 0 && use < keys[i - 1][0])) refuse()
  for (const key of signing) checkKey(key, 1, 32, checkEd25519)
  for (const key of sealing) checkKey(key, 2, 1216, checkXWing)
  for (const ring of [signing, sealing]) checkDistinct(ring)
}

function checkKey({ type, key, from, to }, wantedType, size, check) {
  if (type !== wantedType || key.length !== size) refuse()
  if (to !== 0 && to <= from) refuse()
  check(key)
}

function checkDistinct(keys) {
  keys.forEach((key, i) => {
    if (keys.slice(0, i).some((earlier) => same(earlier.id, key.id))) refuse()
  })
}
