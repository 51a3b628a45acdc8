// Statements that a root signs and a reader refuses, beyond those of the vectors.
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { test } from 'node:test'
import { encode } from '@msgpack/msgpack'
import { parseIdentity } from './identity.js'
import { L, concat } from './primitives.js'
import { expandSeed } from './xwing.js'

const refused = { message: 'does not open' }

function ed25519(seed) {
  const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')
  const key = createPrivateKey({ key: concat(pkcs8, Buffer.alloc(32, seed)), format: 'der', type: 'pkcs8' })
  return { key, raw: Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url') }
}

const root = ed25519(1)
const signing = (seed, from = 0, to = 0) => [1, 1, ed25519(seed).raw, from, to]
const sealing = (seed, from = 0, to = 0) => [2, 2, expandSeed(Buffer.alloc(32, seed)).publicKey, from, to]
const pack = (value) => Buffer.from(encode(value, { useBigInt64: true }))

function identity({ name = 'n', serial = 1, issued = 1000, expires = 2000, keys = [signing(2), sealing(3)] }) {
  const statement = pack([1, name, root.raw, serial, issued, expires, keys])
  return pack([statement, sign(null, concat(L('keys public identity'), statement), root.key)])
}

const many = (n, key) => Array.from({ length: n }, (_, i) => key(10 + i))

test('what section 2.1 allows is accepted', () => {
  const accepted = [
    {}, { name: 'n'.repeat(128) }, { serial: 2n ** 64n - 2n }, { serial: 2n ** 64n - 1n, keys: [] },
    { issued: 0, expires: 2_592_000 }, { issued: BigInt(2 ** 40 - 2), expires: BigInt(2 ** 40 - 1) },
    { keys: [signing(2, 5, 6), signing(4), sealing(3, 1), sealing(5)] },
    { keys: [...many(63, signing), sealing(3)] },
  ]
  for (const fields of accepted) parseIdentity(identity(fields))
})

test('what it does not is refused', () => {
  const [use, type, key] = signing(2)
  const refusals = [
    { serial: 0 }, { expires: 1000 }, { expires: 999 }, { expires: 1000 + 2_592_001 },
    { issued: BigInt(2 ** 40), expires: BigInt(2 ** 40 + 1) }, { issued: BigInt(2 ** 40 - 1), expires: BigInt(2 ** 40) },
    { name: '' }, { name: 'n'.repeat(129) },
    { keys: [] }, { keys: [signing(2)] }, { keys: [sealing(3)] }, { serial: 2n ** 64n - 1n },
    { keys: [[0, 1, key, 0, 0], signing(4), sealing(3)] }, { keys: [signing(4), sealing(3), [3, 3, key, 0, 0]] },
    { keys: [[use, 2, key, 0, 0], sealing(3)] }, { keys: [signing(2), [2, type, key, 0, 0]] },
    { keys: [sealing(3), signing(2)] }, { keys: [signing(2), sealing(3), signing(4)] },
    { keys: [signing(2, 1, 5), signing(2, 6, 9), sealing(3)] }, { keys: [signing(2), sealing(3), sealing(3, 1)] },
    { keys: [signing(2, 5, 5), sealing(3)] }, { keys: [signing(2), sealing(3, 5, 4)] },
    { keys: [signing(2, BigInt(2 ** 40)), sealing(3)] }, { keys: [...many(64, signing), sealing(3)] },
  ]
  for (const fields of refusals) {
    assert.throws(() => parseIdentity(identity(fields)), refused, Object.keys(fields).join())
  }
})

test('a public identity takes at most 6,144 bytes', () => {
  const keys = [...many(27, signing), ...[3, 4, 5, 6].map((seed) => sealing(seed))]
  const size = (name) => identity({ keys, name: 'n'.repeat(name) }).length
  const name = 64 + 6144 - size(64)
  assert.equal(size(name), 6144)
  parseIdentity(identity({ keys, name: 'n'.repeat(name) }))
  assert.throws(() => parseIdentity(identity({ keys, name: 'n'.repeat(name + 1) })), refused)
})
