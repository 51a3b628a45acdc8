import { parseIdentity, sealingKeyID, sharedKeyID } from './identity.js'
import { refuse } from './refuse.js'
import { expandSeed } from './xwing.js'

// Opener is what a reader knows before a message comes. Its keys tell the one suite that it expects (section 3):
//
//   shared            pairs { type, aead, mac }                 suites 1 and 2
//   sealing           X-Wing seeds of 32 bytes                  suite 3
//   party             its own party name                        suites 1 and 2
//   fingerprint       its own fingerprint                       suites 2 and 3
//   fromParty         the expected sender's party name          suite 1
//   from              the expected sender's public identity     suites 2 and 3
//   context           the expected context
//   archived          ids of keys that open nothing any more
export class Opener {
  constructor({ shared = [], sealing = [], party = '', fingerprint, fromParty = '', from, context = '', archived = [] }) {
    if ((sealing.length > 0 || from) && !fingerprint) refuse() // suites 2 and 3 need an identity of one's own
    this.suite = sealing.length > 0 ? 3 : from ? 2 : 1
    this.shared = shared.map((pair) => ({ ...pair, id: sharedKeyID(pair) }))
    this.sealing = sealing.map(expandSeed).map((key) => ({ ...key, id: sealingKeyID(key.publicKey) }))
    this.from = from && parseIdentity(from)
    Object.assign(this, { party, fingerprint, fromParty, context, archived })
  }
}
