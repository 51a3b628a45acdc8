// Successions and vouchers (section 2.2).
import { checkCurrent, clockSkew, time, validKey } from './identity.js'
import { checkEd25519 } from './points.js'
import { L, concat, verifyEd25519 } from './primitives.js'
import { refuse, same } from './refuse.js'
import { array, bin, exactly, structure, text, uint } from './strict.js'

const successionShape = array(bin(0, 2 ** 32), bin(64), bin(64))
const successorShape = array(exactly(1), bin(32), bin(32), time)
const voucherShape = array(bin(0, 2 ** 32), bin(64))
const vouchedShape = array(exactly(1), bin(32), bin(32), text(0, 1024), text(0, 1024), uint(4), bin(32), time, time)

export function parseSuccession(bytes) {
  const [statement, byOld, byNext] = structure(bytes, successionShape)
  const [, old, next] = structure(statement, successorShape)
  if (same(old, next)) refuse()
  for (const [root, signature] of [[old, byOld], [next, byNext]]) {
    checkEd25519(root)
    verifyEd25519(root, concat(L('keys succession'), statement), signature)
  }
  return { old, next }
}

// checkVoucher refuses unless an authority vouches for an identity at a place, at a time in seconds.
export function checkVoucher(bytes, authority, place, identity, now) {
  const [statement, signature] = structure(bytes, voucherShape)
  const [, by, keyID, address, room, role, root, issued, expires] = structure(statement, vouchedShape)
  if (!same(by, authority.fingerprint) || expires <= issued) refuse()
  const { key } = validKey(authority, keyID, issued)
  verifyEd25519(key, concat(L('keys voucher'), statement), signature)
  if (address !== place.address || room !== place.room || role !== place.role) refuse()
  if (now >= expires || issued > now + clockSkew) refuse()
  checkCurrent(identity, root, now)
}
