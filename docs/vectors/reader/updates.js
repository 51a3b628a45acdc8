// Updates and answers to them, of one end of a link (docs/protocol-session.md, updates).
import { checkLater, identityOf, maxIdentity } from './known.js'
import { uint32 } from './primitives.js'
import { refuse } from './refuse.js'
import { array, bin, structure } from './strict.js'

const shapes = { client: array(bin(1, maxIdentity), bin(0, 4096)), server: array(bin(1, maxIdentity)) }
const accepted = 0
const notDecided = 2

export class Updates {
  constructor({ known, client, updating }) {
    Object.assign(this, { known, client, updating, offered: false })
  }

  // readUpdate judges an update to which nothing is answered meanwhile.
  readUpdate(data) {
    const [identity] = structure(data, this.client ? shapes.client : shapes.server)
    if (this.offered) refuse()
    checkLater(identity, this.known)
    if (!identityOf(identity).revoked) this.known = identity
    this.offered = true
  }

  readAnswer(fields) {
    const [code, lifetime] = [fields[0], uint32(fields.subarray(1))]
    if (!this.updating || code !== accepted && code !== notDecided) refuse()
    if (lifetime > 0 && (this.client || code === notDecided)) refuse()
    this.updating = false
  }
}
