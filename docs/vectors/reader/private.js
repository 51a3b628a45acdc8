// The private halves of identities, and shared keysets (section 2.4).
import { parseIdentity, sealingKeyID, signingKeyID, time } from './identity.js'
import { ed25519Public } from './primitives.js'
import { refuse, same } from './refuse.js'
import { array, bin, exactly, list, optional, structure, uint } from './strict.js'
import { parseTink } from './tink.js'

const maxKeys = 512
const maxReserved = 2 ** 30

const ringShape = array(bin(1, 2 ** 20), list(array(uint(2 ** 32), time, time, time, time), 1, maxKeys))
const identityShape = array(exactly(1), optional(bin(32)), optional(ringShape), ringShape, bin(1, 6144))
const xaesShape = array(exactly(1), ringShape, ringShape)
const aesShape = array(exactly(2), ringShape, ringShape, list(uint(maxReserved + 1), 1, maxKeys))

export function parsePrivateIdentity(bytes) {
  const [, seed, signing, sealing, statement] = structure(bytes, identityShape)
  const signer = signing && primaryOf(parseRing(signing, 'Ed25519PrivateKey'))
  const opener = primaryOf(parseRing(sealing, 'HpkePrivateKey'))
  const identity = parseIdentity(statement)
  if (seed && !same(ed25519Public(seed), identity.root)) refuse()
  if (identity.revoked) return
  if (!same(sealingKeyID(opener.publicKey), identity.sealing[0].id)) refuse()
  if (signer && !same(signingKeyID(signer.publicKey), identity.signing[0].id)) refuse()
}

export function parseSharedKeyset(bytes) {
  const aes = bytes[0] === 0x94 // four values
  const [, aeads, macs, reserved] = structure(bytes, aes ? aesShape : xaesShape)
  const [first, second] = [parseRing(aeads, aes ? 'AesGcmKey' : 'XAesGcmKey'), parseRing(macs, 'HmacKey')]
  if (first.length !== second.length || aes && reserved.length !== first.length) refuse()
  if (first.some(({ times }, i) => times.some((t, j) => t !== second[i].times[j]))) refuse()
}

const primaryOf = (ring) => ring.find(({ stage }) => stage === 'primary')

// parseRing holds the times of keys against the keyset: the two tell of the same stages.
function parseRing([keyset, lives], kind) {
  const { primary, keys } = parseTink(keyset, kind)
  if (keys.length !== lives.length) refuse()
  return lives.map(([id, ...times], i) => {
    const key = { ...keys[i], times: times.map(Number) }
    key.stage = stageOf(key.times)
    if (id !== key.id || (id === primary) !== (key.stage === 'primary')) refuse()
    if (key.enabled === (key.stage === 'archived')) refuse()
    return key
  })
}

// stageOf takes the times of a key in the order of its life. Those that have not come are 0, and stand behind the others.
function stageOf(times) {
  const reached = times.filter((t) => t > 0)
  if (reached.length === 0) refuse()
  if (times.some((t, i) => t !== (reached[i] ?? 0) || t > 0 && t < times[i - 1])) refuse()
  return ['pending', 'primary', 'retired', 'archived'][reached.length - 1]
}
