// Streams (section 3.6), read from one buffer.
import {
  checkParties, checkProof, contentKey, parseHeader, parseRecipients, proofShape, receiver, recipientsShape, sharedPair,
  sized,
} from './message.js'
import { checkTotal, checkZeros, splitLength } from './padding.js'
import { H, HKDF, L, concat, openGCM, uint32, uint64 } from './primitives.js'
import { refuse } from './refuse.js'
import { array, bin, exactly, structure, valueSize } from './strict.js'

const segmentSize = 65_552
const plainSize = 65_536
const dataSize = 65_532
const minSegment = 20
const maxSegments = 2 ** 32
const maxStream = 2 ** 47 // bytes of content

// openStream follows sections 3.4 and 3.6, without step 6. Nothing is returned before the final proof and the
// total have verified.
export function openStream(sealed, opener) {
  const headSize = valueSize(sealed)
  const head = parseHead(sealed.subarray(0, headSize), opener.suite)
  checkParties(head.message, opener)
  checkOpeningProof(head, opener)
  const proofSize = opener.suite === 1 ? 32 : 64
  const end = sealed.length - proofSize
  const segments = split(sealed.subarray(headSize, Math.max(headSize, end)))
  const headerDigest = H(L('envelope stream header'), head.header)
  const key = streamKey(head, headerDigest, opener)
  const plain = segments.map((segment, i) => openGCM(key, nonce(i, i === segments.length - 1), segment))
  const content = unpadSegments(plain)
  checkFinalProof(head, headerDigest, segments, sealed.subarray(end), opener)
  return content
}

function parseHead(bytes, suite) {
  const shape = array(exactly(1), bin(1, 2 ** 32), recipientsShape(suite), proofShape(suite))
  const [, header, recipients, proof] = structure(bytes, shape)
  const message = parseHeader(header, suite, bin(32))
  return { header, recipients, proof, message, entries: recipients && parseRecipients(recipients) }
}

function checkOpeningProof({ header, recipients, proof, message }, opener) {
  const digest = H(
    L('envelope stream opening digest'), sized(header), sized(recipients), sized(receiver(opener)))
  checkProof('envelope stream opening proof', digest, proof, message, opener)
}

function checkFinalProof({ message }, headerDigest, segments, proof, opener) {
  const digests = segments.map((segment) => H(L('envelope stream segment'), segment))
  const digest = H(L('envelope stream final digest'), headerDigest, sized(receiver(opener)), ...digests)
  checkProof('envelope stream final proof', digest, proof, message, opener)
}

function streamKey({ message, entries }, headerDigest, opener) {
  const info = concat(L('envelope stream key'), headerDigest)
  return HKDF(inputKey(message, entries, headerDigest, opener), info, 32, message.salt)
}

function inputKey(message, entries, headerDigest, opener) {
  if (opener.suite === 3) return contentKey(message, headerDigest, entries, opener)
  const { aead, mac } = sharedPair(message, opener)
  return concat(aead, mac)
}

// split cuts full segments off until what remains is the last one, which may be full as well.
function split(bytes) {
  const segments = []
  for (; bytes.length > segmentSize; bytes = bytes.subarray(segmentSize)) segments.push(bytes.subarray(0, segmentSize))
  if (bytes.length < minSegment || segments.length >= maxSegments) refuse()
  return [...segments, bytes]
}

const nonce = (i, last) => concat(Buffer.alloc(3), uint64(i), Uint8Array.of(last ? 0x01 : 0x00))

// unpadSegments walks the lengths in their one order: full segments, the rest, padding.
export function unpadSegments(segments) {
  const words = segments.map((segment) => splitLength(uint32(segment)))
  const full = words.findIndex(({ length, chosen }) => length !== dataSize || chosen)
  if (full < 0) refuse() // the one with the rest is missing
  const { length: rest, chosen } = words[full]
  if (rest >= dataSize || words.slice(full + 1).some(({ length, chosen }) => length !== 0 || chosen)) refuse()
  const data = segments.map((segment, i) => {
    checkZeros(segment.subarray(4 + words[i].length))
    return segment.subarray(4, 4 + words[i].length)
  })
  const total = segments.reduce((sum, segment) => sum + segment.length, 0)
  if (dataSize * full + rest > maxStream) refuse()
  // A length beyond its segment, which can only be the last one, needs more than the total.
  checkTotal(total, plainSize * full + 4 + rest, chosen)
  return concat(...data)
}
