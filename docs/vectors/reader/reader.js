// Reads Hopseal envelopes, streams, identities and what else there are vectors of, as docs/protocol.md describes them. Everything takes a
// Uint8Array, and refuses with one and the same Error('does not open').
//
// Of sessions it follows the exchanges, the records and the messages of docs/protocol-session.md, given the secrets of
// both ends.
export { openEnvelope as open } from './envelope.js'
export { handshake, refusal, rekey, resume } from './exchange.js'
export { checkCurrent, parseIdentity } from './identity.js'
export { parsePrivateIdentity, parseSharedKeyset } from './private.js'
export { checkVoucher, parseSuccession } from './statements.js'
export { parseFingerprint, safetyNumber, scanCode } from './texts.js'
export { Messages, isSigned } from './messages.js'
export { Opener } from './opener.js'
export { openStream } from './stream.js'
export { Direction } from './records.js'
