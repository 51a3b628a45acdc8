// X-Wing (draft-connolly-cfrg-xwing-kem-10), with ML-KEM-768 from a library and X25519 from node:crypto.
import { createHash, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { ascii, concat } from './primitives.js'
import { attempt } from './refuse.js'

const label = ascii('\\./' + '/^\\')

// expandSeed makes the key pair of a seed of 32 bytes.
export function expandSeed(seed) {
  const expanded = createHash('shake256', { outputLength: 96 }).update(seed).digest()
  const m = ml_kem768.keygen(expanded.subarray(0, 64))
  const skX = expanded.subarray(64)
  const pkX = publicX25519(skX)
  return { skM: m.secretKey, skX, pkX, publicKey: concat(m.publicKey, pkX) }
}

export function decapsulate(encapsulation, key) {
  const ctM = encapsulation.subarray(0, 1088)
  const ctX = encapsulation.subarray(1088)
  const ssM = ml_kem768.decapsulate(ctM, key.skM)
  const ssX = x25519(key.skX, ctX)
  return createHash('sha3-256').update(concat(ssM, ssX, ctX, key.pkX, label)).digest()
}

// x25519 refuses a shared secret of zeros, as RFC 7748, section 6.1 allows and OpenSSL does.
export function x25519(scalar, point) {
  return attempt(() => diffieHellman({ privateKey: privateX25519(scalar), publicKey: fromRaw(point) }))
}

export function publicX25519(scalar) {
  return Buffer.from(createPublicKey(privateX25519(scalar)).export({ format: 'jwk' }).x, 'base64url')
}

// RFC 8410: the bytes before a raw private key in PKCS #8.
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

function privateX25519(scalar) {
  return createPrivateKey({ key: concat(pkcs8, scalar), format: 'der', type: 'pkcs8' })
}

function fromRaw(point) {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(point).toString('base64url') }, format: 'jwk' })
}
