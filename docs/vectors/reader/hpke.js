// HPKE (RFC 9180) in base mode with HKDF-SHA-256 and AES-256-GCM, for one ciphertext.
import { ascii, concat, expand, extract, openGCM } from './primitives.js'
import { refuse } from './refuse.js'
import { decapsulate, publicX25519, x25519 } from './xwing.js'

const empty = Buffer.alloc(0)
const kemSuite = (kem) => concat(ascii('KEM'), kem)
const suiteOf = (kem) => concat(ascii('HPKE'), kem, Uint8Array.of(0x00, 0x01, 0x00, 0x02)) // KEM, KDF, AEAD

// openBase opens encapsulation ‖ ciphertext ‖ tag, sealed to X-Wing, with an empty AAD.
export const openBase = (key, info, sealed) =>
  openWith(Uint8Array.of(0x64, 0x7a), 1120, (enc) => decapsulate(enc, key), info, sealed)

// openX25519 is openBase for DHKEM(X25519, HKDF-SHA256).
export const openX25519 = (scalar, info, sealed) =>
  openWith(dhkem, 32, (enc) => decapsulateX25519(enc, scalar), info, sealed)

const dhkem = Uint8Array.of(0x00, 0x20)

// RFC 9180, section 4.1.
function decapsulateX25519(enc, scalar) {
  const suite = kemSuite(dhkem)
  const prk = labeledExtract(suite, empty, 'eae_prk', x25519(scalar, enc))
  return labeledExpand(suite, prk, 'shared_secret', concat(enc, publicX25519(scalar)), 32)
}

function openWith(kem, size, decapsulate, info, sealed) {
  if (sealed.length < size) refuse()
  const secret = decapsulate(sealed.subarray(0, size))
  const { aead, nonce } = keySchedule(suiteOf(kem), secret, info)
  return openGCM(aead, nonce, sealed.subarray(size))
}

// RFC 9180, section 5.1. Neither PSK nor its id in base mode; the first nonce is the base nonce.
function keySchedule(suite, sharedSecret, info) {
  const context = concat(Uint8Array.of(0x00),
    labeledExtract(suite, empty, 'psk_id_hash', empty), labeledExtract(suite, empty, 'info_hash', info))
  const secret = labeledExtract(suite, sharedSecret, 'secret', empty)
  const expanded = (label, n) => labeledExpand(suite, secret, label, context, n)
  return { aead: expanded('key', 32), nonce: expanded('base_nonce', 12) }
}

const labeledExtract = (suite, salt, label, ikm) => extract(salt, concat(ascii('HPKE-v1'), suite, ascii(label), ikm))

const labeledExpand = (suite, prk, label, info, n) =>
  expand(prk, concat(Uint8Array.of(0, n), ascii('HPKE-v1'), suite, ascii(label), info), n)
