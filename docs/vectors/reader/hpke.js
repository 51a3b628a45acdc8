// HPKE (RFC 9180) in base mode with X-Wing, HKDF-SHA-256 and AES-256-GCM, for one ciphertext.
import { ascii, concat, expand, extract, openGCM } from './primitives.js'
import { decapsulate } from './xwing.js'

const encapsulationSize = 1120
const suite = concat(ascii('HPKE'), Uint8Array.of(0x64, 0x7a, 0x00, 0x01, 0x00, 0x02)) // KEM, KDF, AEAD
const empty = Buffer.alloc(0)

// openBase opens encapsulation ‖ ciphertext ‖ tag, with an empty AAD.
export function openBase(key, info, sealed) {
  const secret = decapsulate(sealed.subarray(0, encapsulationSize), key)
  const { aead, nonce } = keySchedule(secret, info)
  return openGCM(aead, nonce, sealed.subarray(encapsulationSize))
}

// RFC 9180, section 5.1. Neither PSK nor its id in base mode; the first nonce is the base nonce.
function keySchedule(sharedSecret, info) {
  const context = concat(
    Uint8Array.of(0x00), labeledExtract(empty, 'psk_id_hash', empty), labeledExtract(empty, 'info_hash', info))
  const secret = labeledExtract(sharedSecret, 'secret', empty)
  return { aead: labeledExpand(secret, 'key', context, 32), nonce: labeledExpand(secret, 'base_nonce', context, 12) }
}

const labeledExtract = (salt, label, ikm) => extract(salt, concat(ascii('HPKE-v1'), suite, ascii(label), ikm))

const labeledExpand = (prk, label, info, n) =>
  expand(prk, concat(Uint8Array.of(0, n), ascii('HPKE-v1'), suite, ascii(label), info), n)
