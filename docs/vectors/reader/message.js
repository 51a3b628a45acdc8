// What envelopes and streams have in common (sections 3 to 3.4).
import { openBase } from './hpke.js'
import { validKey } from './identity.js'
import { HKDF, L, concat, hmac, uint64, verifyEd25519 } from './primitives.js'
import { refuse, same } from './refuse.js'
import { array, bin, exactly, list, nil, structure, text, uint } from './strict.js'

const senderShape = { 1: text(1, 128), 2: bin(32), 3: bin(32) }
const recipientShape = list(array(bin(32), bin(1168)), 1, 1000)

export const proofShape = (suite) => suite === 1 ? bin(32) : bin(64)
export const recipientsShape = (suite) => suite === 3 ? bin(1, 2 ** 32) : nil

// parseHeader refuses every suite but the expected one; extra are the shapes of what follows the common fields.
export function parseHeader(bytes, suite, ...extra) {
  const shape = array(exactly(suite), senderShape[suite], bin(32), suite === 1 ? nil : bin(32),
    bin(16), uint(2 ** 48), text(0, 128), text(0, 1024), ...extra)
  const [, sender, sealKeyID, proofKeyID, messageID, time, contentType, context, salt] = structure(bytes, shape)
  return { sender, sealKeyID, proofKeyID, messageID, time: Number(time), contentType, context, salt }
}

export function parseRecipients(bytes) {
  const recipients = structure(bytes, recipientShape).map(([id, sealed]) => ({ id, sealed }))
  for (let i = 1; i < recipients.length; i++) {
    if (Buffer.compare(recipients[i - 1].id, recipients[i].id) >= 0) refuse()
  }
  return recipients
}

// checkParties is step 2 of section 3.4.
export function checkParties(header, opener) {
  if (opener.suite === 1) {
    if (header.sender === opener.party || header.sender !== opener.fromParty) refuse()
  } else {
    if (same(header.sender, opener.fingerprint) || !same(header.sender, opener.from.fingerprint)) refuse()
  }
  if (header.context !== opener.context) refuse()
}

// receiver is not sent, and enters every proof.
export const receiver = (opener) => Buffer.from(opener.suite === 3 ? '' : opener.party, 'utf8')

// sized is len(x) ‖ x, where nil is empty.
export const sized = (x) => concat(uint64(x?.length ?? 0), x ?? Buffer.alloc(0))

// checkProof is step 3 of section 3.4. The label of the HMAC is the one of the signature with one more word.
export function checkProof(purpose, digest, proof, header, opener) {
  if (opener.suite === 1) {
    const { mac } = sharedPair(header, opener)
    if (!same(hmac(mac, L(purpose + ' hmac'), digest), proof)) refuse()
    return
  }
  const { key } = signingKey(header, opener.from)
  verifyEd25519(key, concat(L(purpose), digest), proof)
}

function signingKey({ proofKeyID, time }, from) {
  const t = Math.floor(time / 1000)
  if (t >= from.expires) refuse()
  return validKey(from, proofKeyID, t)
}

// sharedPair finds the pair that the header names, unless it is archived (step 4).
export function sharedPair({ sealKeyID }, opener) {
  return opener.shared.find(({ id }) => same(id, sealKeyID) && !archived(id, opener)) ?? refuse()
}

const archived = (id, opener) => opener.archived.some((a) => same(a, id))

// contentKey is step 4 in suite 3: the reader's own key among the recipients, and no other, opens it.
export function contentKey(header, headerDigest, recipients, opener) {
  const { entry, key } = ownEntry(recipients, opener)
  const info = concat(L('envelope recipient'), headerDigest, opener.fingerprint, key.id)
  const content = openBase(key, info, entry.sealed)
  if (!same(HKDF(content, L('envelope content key id'), 32), header.sealKeyID)) refuse()
  return content
}

function ownEntry(recipients, opener) {
  for (const entry of recipients) {
    const key = opener.sealing.find(({ id }) => same(id, entry.id))
    if (key) return archived(key.id, opener) ? refuse() : { entry, key }
  }
  return refuse()
}

