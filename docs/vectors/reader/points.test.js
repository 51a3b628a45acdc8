import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { checkEd25519, checkXWing } from './points.js'
import { verifyEd25519 } from './primitives.js'
import { expandSeed } from './xwing.js'

const refused = { message: 'does not open' }
const hex = (s) => Buffer.from(s, 'hex')
const fill = (first, last) => hex(first + 'ff'.repeat(30) + last) // near 2^255 − 19
const withTopBit = (key) => {
  const changed = Buffer.from(key)
  changed[31] |= 0x80
  return changed
}

test('Ed25519 keys of small order are refused', () => {
  const ys = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ].map(hex).concat([fill('ec', '7f')])
  for (const y of ys) {
    for (const key of [y, withTopBit(y)]) assert.throws(() => checkEd25519(key), refused, key.toString('hex'))
  }
})

test('Ed25519 keys that are not reduced are refused', () => {
  for (let low = 0xed; low <= 0xff; low++) {
    const key = fill(low.toString(16), '7f')
    for (const k of [key, withTopBit(key)]) assert.throws(() => checkEd25519(k), refused, k.toString('hex'))
  }
})

test('every other Ed25519 key is taken', () => {
  checkEd25519(hex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')) // RFC 8032, section 7.1
  checkEd25519(hex('5866666666666666666666666666666666666666666666666666666666666666')) // the base point
  for (let i = 0; i < 64; i++) checkEd25519(createHash('sha256').update(Uint8Array.of(i)).digest())
})

test('nothing verifies under a key that no point has', () => {
  const key = hex('02' + '00'.repeat(31))
  for (const signature of [Buffer.alloc(64), hex('01' + '00'.repeat(63))]) {
    assert.throws(() => verifyEd25519(key, Buffer.alloc(0), signature), refused)
  }
})

test('each half of an X-Wing key is checked', () => {
  const { publicKey } = expandSeed(Buffer.alloc(32, 7))
  checkXWing(publicKey)
  const change = (at, bytes) => {
    const changed = Buffer.from(publicKey)
    changed.set(bytes, at)
    assert.throws(() => checkXWing(changed), refused, `${Buffer.from(bytes).toString('hex')} at ${at}`)
  }
  for (let at = 0; at < 1152; at += 3) {
    change(at, [0x01, publicKey[at + 1] & 0xf0 | 0x0d]) // 3329, the modulus
    change(at + 1, [publicKey[at + 1] & 0x0f | 0x10, 0xd0])
  }
  const us = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ].map(hex)
  const notReduced = ['ed', 'ee', 'ef', 'f6', 'ff'].map((low) => fill(low, '7f'))
  for (const u of [...us, fill('ec', '7f'), ...notReduced, withTopBit(publicKey.subarray(1184))]) change(1184, u)
})
