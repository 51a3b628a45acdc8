import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkParties } from './message.js'

const refused = { message: 'does not open' }
const [own, peer, other] = [1, 2, 3].map((b) => Buffer.alloc(32, b))

test('only the expected sender is taken, and never the reader itself', () => {
  const parties = { suite: 1, party: 'own', fromParty: 'peer', context: 'c' }
  checkParties({ sender: 'peer', context: 'c' }, parties)
  for (const sender of ['own', 'other']) assert.throws(() => checkParties({ sender, context: 'c' }, parties), refused)
  assert.throws(() => checkParties({ sender: 'own', context: 'c' }, { ...parties, fromParty: 'own' }), refused)

  for (const suite of [2, 3]) {
    const opener = { suite, fingerprint: own, from: { fingerprint: peer }, context: 'c' }
    checkParties({ sender: peer, context: 'c' }, opener)
    for (const sender of [own, other]) assert.throws(() => checkParties({ sender, context: 'c' }, opener), refused)
    assert.throws(() => checkParties({ sender: own, context: 'c' }, { ...opener, from: { fingerprint: own } }), refused)
    assert.throws(() => checkParties({ sender: peer, context: 'd' }, opener), refused)
  }
})
