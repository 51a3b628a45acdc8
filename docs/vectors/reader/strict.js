// MessagePack with one encoding for each value (section 1).
//
// The library decodes; the fields are then checked against what the structure prescribes and encoded again, and other
// bytes than the received ones are refused. A scan of the heads comes first, since the library bounds neither nesting
// nor what it allocates for arrays.
import { Decoder, encode } from '@msgpack/msgpack'
import { refuse, same } from './refuse.js'

const maxDepth = 16

// Text is kept as bytes, because the library takes wrong UTF-8 and drops a byte order mark.
const decoder = new Decoder({ useBigInt64: true, rawStrings: true })

// structure decodes all of bytes as what shape describes.
export function structure(bytes, shape) {
  if (valueSize(bytes) !== bytes.length) refuse()
  const value = shape(decoder.decode(bytes))
  if (!same(encode(value, { useBigInt64: true }), bytes)) refuse()
  return value
}

// valueSize returns the size of the first value in bytes, and allocates nothing for it.
export function valueSize(bytes) {
  const open = [1] // how many values each array that is open still wants
  let at = 0
  while (open.length > 0) {
    if (open.at(-1) === 0) {
      open.pop()
      continue
    }
    open[open.length - 1]--
    const { head, content, values } = readHead(bytes, at)
    at += head + content
    if (at + values > bytes.length) refuse() // a value takes one byte or more
    if (values > 0 && open.push(values) > maxDepth + 1) refuse()
  }
  return at
}

// readHead tells of the value at an offset: the sizes of its head and content, and how many values follow in it.
function readHead(bytes, at) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = (size) => {
    if (at + 1 + size > bytes.length) refuse()
    return [view.getUint8, view.getUint16, view.getUint32][Math.log2(size)].call(view, at + 1)
  }
  const scalar = (head, content = 0) => ({ head, content, values: 0 })
  const array = (head, values) => ({ head, content: 0, values })
  if (at >= bytes.length) refuse()
  const b = bytes[at]
  if (b <= 0x7f || b === 0xc0) return scalar(1) // small integer, nil
  if (b >= 0x90 && b <= 0x9f) return array(1, b & 0x0f)
  if (b >= 0xa0 && b <= 0xbf) return scalar(1, b & 0x1f)
  switch (b) {
    case 0xc4: case 0xd9: return scalar(2, length(1)) // bin, str
    case 0xc5: case 0xda: return scalar(3, length(2))
    case 0xc6: case 0xdb: return scalar(5, length(4))
    case 0xcc: return scalar(2) // unsigned integers
    case 0xcd: return scalar(3)
    case 0xce: return scalar(5)
    case 0xcf: return scalar(9)
    case 0xdc: return array(3, length(2))
    case 0xdd: return array(5, length(4))
  }
  return refuse() // booleans, negative integers, floats, maps, extensions: in no structure
}

// Shapes take what the library decoded and return what is encoded again.

export const array = (...shapes) => (value) => {
  if (!Array.isArray(value) || value.length !== shapes.length) refuse()
  return value.map((v, i) => shapes[i](v))
}

export const list = (shape, min, max) => (value) => {
  if (!Array.isArray(value) || value.length < min || value.length > max) refuse()
  return value.map(shape)
}

// uint takes integers below an end. The library gives those of 64 bits, and only those, as BigInt.
export const uint = (end) => (value) => {
  const shortest = typeof value === 'bigint' ? value >= 2n ** 32n : Number.isInteger(value)
  if (!shortest || value < 0 || value >= end) refuse()
  return value
}

export const exactly = (wanted) => (value) => value === wanted ? value : refuse()

export const bin = (min, max = min) => (value) => {
  if (!(value instanceof Uint8Array) || value.length < min || value.length > max) refuse()
  return value
}

export const text = (min, max) => (value) => utf8(bin(min, max)(value))

export const nil = exactly(null)

export const optional = (shape) => (value) => value === null ? null : shape(value)

export function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return refuse()
  }
}
