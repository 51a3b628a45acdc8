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

export function prologue(purpose, { protocol, proof }) {
  return concat(S('prologue'), sized8(purpose), sized8(protocol), Uint8Array.of(proof))
}

export function rekeyPrologue({ session, link }) {
  return concat(S('prologue'), sized8('rekey'), session, link)
}

const sized8 = (text) => concat(Uint8Array.of(text.length), ascii(text))

// bindKEM makes a secret of what ML-KEM gives, for one purpose, one key and one ciphertext.
export const bindKEM = (name, ss, ek, ct) => HKDF(ss, concat(S(name), H(ek), H(ct)), 32)
