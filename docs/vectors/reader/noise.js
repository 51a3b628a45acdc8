// Noise, revision 34: the NN patterns with a pre-shared key, 25519_AESGCM_SHA256, as they look to whoever has the
// secrets of both ends. What a message means is up to the caller, token by token.
import { H, ascii, concat, hmac, openGCM, uint64 } from './primitives.js'

export class Noise {
  constructor(pattern, prologue) {
    this.h = this.ck = ascii(`Noise_${pattern}_25519_AESGCM_SHA256`) // 32 bytes, as long as a hash
    this.mixHash(prologue)
  }

  mixHash(data) {
    this.h = H(this.h, data)
  }

  mixKey(secret) {
    this.setKey(...outputs(2, this.ck, secret))
  }

  // share is the token e, which is mixed into the key as well where there is a pre-shared key (section 9.2).
  share(e) {
    this.mixHash(e)
    this.mixKey(e)
  }

  psk(secret) {
    const [ck, h, k] = outputs(3, this.ck, secret)
    this.mixHash(h)
    this.setKey(ck, k)
  }

  setKey(ck, k) {
    Object.assign(this, { ck, k, n: 0 })
  }

  payload(sealed) {
    const opened = openGCM(this.k, concat(Buffer.alloc(4), uint64(this.n++)), sealed, this.h)
    this.mixHash(sealed)
    return opened
  }

  split() {
    return outputs(2, this.ck, Buffer.alloc(0))
  }
}

// outputs is HKDF as section 4.3 has it.
function outputs(n, ck, secret) {
  const key = hmac(ck, secret)
  const all = []
  for (let i = 1; i <= n; i++) all.push(hmac(key, all.at(-1) ?? Buffer.alloc(0), Uint8Array.of(i)))
  return all
}
