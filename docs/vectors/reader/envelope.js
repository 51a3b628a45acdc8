// Envelopes (sections 3 to 3.4).
import {
  checkParties, checkProof, contentKey, parseHeader, parseRecipients, proofShape, receiver, recipientsShape, sharedPair,
  sized,
} from './message.js'
import { checkTotal, checkZeros, maxContent, maxTotal, splitLength } from './padding.js'
import { H, HKDF, L, concat, openGCM, openXAES, uint32 } from './primitives.js'
import { refuse } from './refuse.js'
import { array, bin, exactly, structure } from './strict.js'

// openEnvelope follows section 3.4 up to step 5: time and replay are the caller's.
export function openEnvelope(sealed, opener) {
  const { suite } = opener
  const shape = array(exactly(1), bin(1, 2 ** 32), recipientsShape(suite), bin(0, 2 ** 32), proofShape(suite))
  const [, header, recipients, body, proof] = structure(sealed, shape)
  const message = parseHeader(header, suite)
  const entries = recipients && parseRecipients(recipients)
  checkParties(message, opener)
  const digest = H(
    L('envelope digest'), sized(header), sized(recipients), sized(body), sized(receiver(opener)))
  checkProof('envelope proof', digest, proof, message, opener)
  const aad = concat(L('envelope body'), header)
  const padded = suite === 3
    ? openForRecipient(message, header, entries, body, aad, opener)
    : openShared(sharedPair(message, opener), body, aad)
  return unpad(padded)
}

function openForRecipient(message, header, entries, body, aad, opener) {
  const content = contentKey(message, H(L('envelope header'), header), entries, opener)
  return openBody(openGCM, 12, HKDF(content, L('envelope body key'), 32), body, aad)
}

function openShared({ type, aead }, body, aad) {
  return type === 'X_AES_GCM' ? openBody(openXAES, 24, aead, body, aad) : openBody(openGCM, 12, aead, body, aad)
}

const openBody = (open, nonceSize, key, body, aad) =>
  open(key, body.subarray(0, nonceSize), body.subarray(nonceSize), aad)

export function unpad(padded) {
  if (padded.length < 4 || padded.length > maxTotal) refuse()
  const { length, chosen } = splitLength(uint32(padded))
  if (length > maxContent) refuse()
  checkTotal(padded.length, 4 + length, chosen)
  checkZeros(padded.subarray(4 + length))
  return padded.subarray(4, 4 + length)
}
