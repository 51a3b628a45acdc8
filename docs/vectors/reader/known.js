// Identities that an end knows already, and what may take their place in a session.
import { parseIdentity } from './identity.js'
import { refuse, same } from './refuse.js'

export const maxIdentity = 6144

// identityOf judges each identity once: that costs more than all the rest of an exchange.
export function identityOf(bytes) {
  const name = Buffer.from(bytes).toString('hex')
  if (!identities.has(name)) identities.set(name, parseIdentity(bytes))
  return identities.get(name)
}
const identities = new Map()

// checkLater takes an identity that is known, or a later statement by its root, which may revoke it.
export function checkLater(identity, known) {
  if (Buffer.compare(identity, known) === 0) return
  const [now, before] = [identity, known].map(identityOf)
  if (!same(now.fingerprint, before.fingerprint) || now.serial <= before.serial) refuse()
}
