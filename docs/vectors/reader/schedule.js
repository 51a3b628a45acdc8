// The key schedule of sessions (docs/protocol-session.md, conventions and key exchange).
import { H, HKDF, L, ascii, concat, expand, extract, openGCM } from './primitives.js'

export const S = (name) => L(`session ${name}`)

export class Schedule {
  // h is the hash of a Noise exchange, secrets are the two keys of its Split and what else goes in.
  constructor(h, ...secrets) {
    this.h = this.transcript = h
    this.hs = extract(h, concat(...secrets))
  }

  absorb(part) {
    this.transcript = H(S('transcript'), this.transcript, part)
  }

  key(name) {
    return expand(this.hs, concat(S(name), this.transcript), 32)
  }

  // open opens what is sealed once, under a key of its own.
  open(name, sealed) {
    return openGCM(this.key(name), Buffer.alloc(12), sealed, S(name))
  }

  // secrets returns some of what there is at this point, by the names of the document.
  secrets(names) {
    const own = { h: this.h, hs: this.hs }
    return Object.fromEntries(names.map((name) => [name, own[name] ?? this.key(name)]))
  }
}

const prologue = (purpose, ...more) => concat(S('prologue'), sized8(purpose), ...more)

export const sessionPrologue = () => prologue('session')
export const resumePrologue = ({ protocol, proof }) => prologue('resume', sized8(protocol), Uint8Array.of(proof))
export const rekeyPrologue = ({ session, link }) => prologue('rekey', session, link)

// speech is what an end says to speak, in 257 bytes.
export function speech({ protocol, proof }) {
  const said = concat(Uint8Array.of(proof), sized8(protocol))
  return concat(said, new Uint8Array(257 - said.length))
}

const sized8 = (text) => concat(Uint8Array.of(text.length), ascii(text))

// bindKEM makes a secret of what ML-KEM gives, for one purpose, one key and one ciphertext.
export const bindKEM = (name, ss, ek, ct) => HKDF(ss, concat(S(name), H(ek), H(ct)), 32)
