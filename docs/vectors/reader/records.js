// Records of one direction of a link (docs/protocol-session.md).
import { concat, expand, openGCM, readUint64, uint32, uint64 } from './primitives.js'
import { parsePadded, bucket } from './padded.js'
import { refuse } from './refuse.js'
import { S } from './schedule.js'
import { Updates } from './updates.js'

const data = 1
const close = 2
const part = 5
const update = 10
const updateAnswer = 11

// The code of a close that leaves nothing out.
const done = 0

const pieceSizes = [65536, 4096]
const generation = 1024
const generationBytes = 2 ** 24

// How many generations may end before they are full, while no time passes.
const earlyEnds = 4

// What each type has as fields, in bytes.
const fieldsSizes = { 1: 0, 2: 10, 3: 24, 4: 0, 5: 0, 6: 0, 7: 1232, 8: 1136, 9: 0, 10: 0, 11: 5 }

// Direction opens records in their order, all at the time at which the link begins. It begins with record number of the
// generation whose chain it is given, which has had so many bytes of padded plaintext before.
export class Direction {
  // The sender is a client or not, and known by an identity; updating says that the reader waits for an answer to an update.
  // Of messages it has received some, on links before.
  constructor({ chain, link, epoch, number, bytes, sender, client, updating, received }) {
    Object.assign(this, { link, epoch, number, early: 0, pieces: [], received: BigInt(received), closed: false })
    this.updates = new Updates({ known: sender, client, updating })
    this.advance(chain)
    Object.assign(this, { records: number % generation, bytes })
  }

  advance(chain) {
    const both = expand(chain, S('next generation'), 64)
    this.chain = both.subarray(0, 32)
    this.key = both.subarray(32)
    Object.assign(this, { records: 0, bytes: 0 })
  }

  // open returns what a record says, or undefined for a piece of a message that is not complete.
  open(frame) {
    if (this.closed || frame.length < 1 + 64 + 16) refuse()
    const head = frame[0]
    const type = head & 0x1f
    if (head >> 6 !== this.epoch || fieldsSizes[type] === undefined) refuse()
    const nonce = concat(Buffer.alloc(4), uint64(this.number++))
    const plain = openGCM(this.key, nonce, frame.subarray(1), concat(S('record'), frame.subarray(0, 1), this.link))
    this.count(plain.length, (head & 0x20) !== 0)
    return this.read(type, plain)
  }

  // count holds the sender to the bounds of generations, and ends them.
  count(size, last) {
    this.records++
    this.bytes += size
    const full = this.bytes >= generationBytes
    if (full && !last) refuse()
    if (last && !full && this.records < generation && ++this.early > earlyEnds) refuse()
    if (last || this.records === generation) this.advance(this.chain)
  }

  read(type, plain) {
    if (type === part || type === data && this.pieces.length > 0) return this.readPiece(type, plain)
    const { fields, data: content } = parsePadded(plain, fieldsSizes[type])
    if (type !== data && type !== update && content.length > 0) refuse()
    if (type === update) this.updates.readUpdate(content)
    if (type === updateAnswer) this.updates.readAnswer(fields)
    if (type === close) return this.readClose(fields)
    if (type === data) this.received++
    return { type, fields, data: content }
  }

  // readClose tells how many messages will not come, if any are missing.
  readClose(fields) {
    const [code, last] = [fields.readUInt16BE(), readUint64(fields.subarray(2))]
    const whole = last === this.received && this.pieces.length === 0
    if (last < this.received || last > 2n ** 60n || code === done && !whole) refuse()
    this.closed = true
    const missing = last - this.received
    return { type: close, fields, data: Buffer.alloc(0), ...missing > 0n && { missing } }
  }

  // readPiece keeps the padded plaintext of a message that comes in several records. Others may come between.
  readPiece(type, plain) {
    this.pieces.push(plain)
    const left = bucket(4 + uint32(this.pieces[0])) - this.pieces.slice(0, -1).reduce((sum, piece) => sum + piece.length, 0)
    if (type === part) {
      if (!pieceSizes.includes(plain.length) || left <= plain.length) refuse()
      return undefined
    }
    if (plain.length !== left) refuse()
    const { fields, data: content } = parsePadded(concat(...this.pieces.splice(0)), 0)
    this.received++
    return { type, fields, data: content }
  }
}
