// Every vector of a session does what it says, and whatever opens is refused after any change.
//
// HOPSEAL_READ_SESSION_VECTORS names another folder of vectors.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Direction, Messages, handshake, isSigned, refusal, rekey, resume } from './reader.js'

const folder = process.env.HOPSEAL_READ_SESSION_VECTORS ?? join(import.meta.dirname, '..', 'session')
const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
const refused = { message: 'does not open' }
const exchanges = { handshake, resume, refusal, rekey }

// A change costs an exchange, with its public keys.
const changesOf = { handshake: 40, resume: 60, refusal: 200, rekey: 40, records: 400, messages: 400 }

const unhex = (hex) => hex === undefined ? undefined : Buffer.from(hex, 'hex')
const hex = (bytes) => Buffer.from(bytes).toString('hex')

function endOf({ identity, x25519, mlkem, binding, ...own }, c) {
  const { protocol, proof } = { protocol: c.protocol, proof: c.proof, ...own }
  return { identity: unhex(identity), x25519: unhex(x25519), mlkem: unhex(mlkem), binding: unhex(binding), protocol, proof }
}

function inputOf(c) {
  return {
    protocol: c.protocol, proof: c.proof, epoch: c.epoch ?? 0, number: c.number ?? 0, bytes: c.bytes ?? 0,
    secret: unhex(c.secret), session: unhex(c.session), link: unhex(c.link), chain: unhex(c.chain),
    client: endOf(c.client ?? {}, c), server: endOf(c.server ?? {}, c),
  }
}

// senderOf is who sends in one direction: the end that the vector tells of.
const senderOf = ({ client, server }) => ({ sender: unhex((client ?? server)?.identity), client: client !== undefined })

// read returns what is in the frames, in the form in which a vector has it.
function read(c, frames) {
  if (c.kind === 'records') {
    const direction = new Direction({ ...inputOf(c), updating: c.updating ?? false, received: c.received ?? 0, ...senderOf(c) })
    return { records: frames.map((frame) => direction.open(frame)).filter(Boolean).map(shown) }
  }
  if (c.kind === 'messages') {
    const messages = new Messages({ ...inputOf(c), session: unhex(c.session), sent: c.sent ?? 0, ...senderOf(c) })
    return { messages: frames.map((frame) => messages.read(frame)).map(shown) }
  }
  const { opened, first, schedule } = exchanges[c.kind]({ ...inputOf(c), frames })
  return {
    ...c.opened && { opened: shown(opened) },
    ...c.secrets && { secrets: shown({ ...schedule.secrets(Object.keys(c.secrets)), ...first }) },
  }
}

// shown has bytes as hex, and integers of 64 bits as numbers.
function shown(values) {
  const show = (v) => v instanceof Uint8Array ? hex(v) : typeof v === 'bigint' ? Number(v) : v
  return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, show(v)]))
}

function* changes(frame, most) {
  const step = Math.max(1, Math.floor(frame.length * 8 / most))
  for (let bit = 0; bit < frame.length * 8; bit += step) {
    const changed = Buffer.from(frame)
    changed[bit >> 3] ^= 1 << (bit & 7)
    yield [`bit ${bit}`, changed]
  }
  yield ['one byte less', frame.subarray(0, -1)]
  yield ['one byte more', Buffer.concat([frame, Uint8Array.of(0)])]
}

test('there are vectors to read, of all kinds and both outcomes', () => {
  const seen = new Set(names.map((name) => {
    const { kind, expect } = JSON.parse(readFileSync(join(folder, name)))
    return `${kind} ${expect === 'open'}`
  }))
  for (const kind of Object.keys(changesOf)) assert.ok(seen.has(`${kind} true`) && seen.has(`${kind} false`), kind)
})

for (const name of names) {
  const c = JSON.parse(readFileSync(join(folder, name)))
  const frames = c.frames.map(unhex)
  test(`${name}: ${c.comment}`, () => {
    if (c.expect !== 'open') {
      read(c, frames.slice(0, -1)) // it is the last frame that is refused
      assert.throws(() => read(c, frames), refused)
      return
    }
    const { opened, secrets, records, messages } = c
    assert.deepEqual(read(c, frames), JSON.parse(JSON.stringify({ opened, secrets, records, messages })))
    const most = Math.ceil(changesOf[c.kind] / frames.length)
    frames.forEach((frame, i) => {
      if (c.kind === 'messages' && !(c.proof === 1 && isSigned(c.messages[i].kind))) return // its record keeps it
      for (const [what, changed] of changes(frame, most)) {
        assert.throws(() => read(c, frames.with(i, changed)), refused, `${what} of frame ${i + 1}`)
      }
    })
  })
}
