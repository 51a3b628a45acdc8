// Reads Hopseal envelopes, streams and public identities as docs/protocol.md describes them. Everything takes a
// Uint8Array, and refuses with one and the same Error('does not open').
export { openEnvelope as open } from './envelope.js'
export { parseIdentity } from './identity.js'
export { Opener } from './opener.js'
export { openStream } from './stream.js'
