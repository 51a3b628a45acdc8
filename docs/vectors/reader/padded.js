// Padded plaintexts of sessions: fields ‖ u32 length ‖ data ‖ zeros.
import { uint32 } from './primitives.js'
import { checkZeros } from './padding.js'
import { refuse } from './refuse.js'

// parsePadded returns the fields, of a size that the kind of message fixes, and the data.
export function parsePadded(plain, fieldsSize) {
  const begin = fieldsSize + 4
  if (plain.length < begin) refuse()
  const end = begin + uint32(plain.subarray(fieldsSize))
  if (end > plain.length || plain.length !== bucket(end)) refuse()
  checkZeros(plain.subarray(end))
  return { fields: plain.subarray(0, fieldsSize), data: plain.subarray(begin, end) }
}

// bucket is Padmé with a grain of 128.
export function bucket(m) {
  if (m <= 64) return 64
  const e = Math.floor(Math.log2(m))
  const s = Math.floor(Math.log2(e)) + 1
  const unit = Math.max(2 ** (e - s), 128)
  return Math.ceil(m / unit) * unit
}
