// Messages of one end of a session, as its other end judges them (docs/protocol-session.md, messages and streams).
// The reader has sent some messages itself, all of them plain ones. It opens no streams, and reads none: it gives no credit.
import { parseIdentity } from './identity.js'
import { H, concat, readUint64, uint64, verifyEd25519 } from './primitives.js'
import { refuse, same } from './refuse.js'
import { S } from './schedule.js'
import { utf8 } from './strict.js'

const answer = 2
const refusal = 3
const open = 4
const piece = 5
const end = 6
const abort = 7
const cancel = 8
const credit = 9
const done = 10

const maxType = 128
const maxAhead = 4096
const maxText = 1024
const maxStreams = 64
const streamCredit = 16384 // bytes of a stream, of which this reader reads nothing
const ofApplication = 6 // why a message is refused

const names = (kind) => kind === answer || kind === refusal || kind > open
export const isSigned = (kind) => kind !== refusal && kind < abort

export class Messages {
  // sender is the identity of who sends, and client whether that is the client; sent is how many messages the reader has
  // sent, and number that of the first message to come.
  constructor({ proof, session, sender, client, sent, number }) {
    Object.assign(this, { proof, session, client, sent, number, answered: 0, streams: new Map() })
    if (proof === 1) this.sender = parseIdentity(sender)
  }

  read(message) {
    const { header, rest, ...said } = parseHeader(message)
    const body = this.proof === 1 && isSigned(said.kind) ? this.checkSignature(header, rest, said.time) : rest
    this.judge(said, body)
    this.number++
    return { ...said, body }
  }

  checkSignature(header, rest, time) {
    if (rest.length < 96) refuse()
    const [id, signature, body] = [rest.subarray(0, 32), rest.subarray(32, 96), rest.subarray(96)]
    const key = this.sender.signing.find((k) => same(k.id, id)) ?? refuse()
    const seconds = Math.floor(time / 1000)
    const valid = key.from <= seconds && (key.to === 0 || seconds < key.to)
    if (key !== this.sender.signing[0] && !valid) refuse()
    const role = Uint8Array.of(this.client ? 1 : 0)
    const signed = concat(S('signed message'), this.session, role, uint64(this.number), H(body), header, id)
    verifyEd25519(key.key, signed, signature)
    return body
  }

  judge({ kind, answers }, body) {
    switch (kind) {
      case answer: return this.checkAnswer(answers)
      case refusal:
        checkRefusal(body)
        return this.checkAnswer(answers)
      case open: return this.openStream(body)
      case piece: case end: case abort: return this.goOn(kind, answers, body)
      case cancel: case credit: case done: return refuse() // of a stream that the reader has not opened
    }
  }

  // checkAnswer takes one answer or refusal for each message, in any order: there was one link.
  checkAnswer(number) {
    if (number < 1 || number > this.sent || ++this.answered > this.sent) refuse()
  }

  openStream(body) {
    if (body.length > maxAhead || this.streams.size >= maxStreams) refuse()
    this.streams.set(this.number, { total: 0, ended: false })
  }

  // goOn keeps a stream that has ended: it has its place until it is read.
  goOn(kind, number, body) {
    const stream = this.streams.get(number) ?? refuse()
    if (stream.ended) refuse()
    switch (kind) {
      case piece:
        stream.total += body.length
        if (body.length === 0 || stream.total > streamCredit) refuse()
        return
      case end:
        stream.ended = true
        if (body.length !== 8 || readUint64(body) !== BigInt(stream.total)) refuse()
        return
      case abort:
        this.streams.delete(number)
        if (body.length > 0) refuse()
    }
  }
}

function checkRefusal(body) {
  if (body.length < 2) refuse()
  const why = body.readUInt16BE()
  if (why !== ofApplication) {
    if (why < 1 || body.length > 2) refuse() // others than those of the document are known to later versions
    return
  }
  if (body.length < 4 || body.length > 4 + maxText) refuse()
  utf8(body.subarray(4))
}

// parseHeader returns what a header says, its bytes, and the rest of the message.
function parseHeader(message) {
  if (message.length < 8) refuse()
  const kind = message[0]
  const time = message.readUIntBE(1, 6)
  const typeSize = message[7]
  const size = 8 + typeSize + (names(kind) ? 8 : 0)
  if (kind > done || typeSize > maxType || names(kind) && typeSize > 0 || message.length < size) refuse()
  const type = utf8(message.subarray(8, 8 + typeSize))
  const answers = names(kind) ? Number(readUint64(message.subarray(8))) : 0
  return { kind, time, type, answers, header: message.subarray(0, size), rest: message.subarray(size) }
}
