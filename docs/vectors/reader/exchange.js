// What two ends of a session say to each other before there are records: handshake, resume and rekey
// (docs/protocol-session.md). The reader has the fresh secrets of both ends. It judges each frame as the end does
// that receives it, and leaves out only what needs a clock, a memory or an opinion: who is welcome.
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { openX25519 } from './hpke.js'
import { checkLater, identityOf, maxIdentity } from './known.js'
import { Noise } from './noise.js'
import { parsePadded } from './padded.js'
import { checkMLKEM } from './points.js'
import { H, concat, expand, readUint64, uint32, verifyEd25519 } from './primitives.js'
import { attempt, refuse, same } from './refuse.js'
import { S, Schedule, bindKEM, rekeyPrologue, resumePrologue, sessionPrologue, speech } from './schedule.js'
import { array, bin, structure } from './strict.js'
import { x25519 } from './xwing.js'

const maxFrame = 12288
const credentials = bin(0, 4096)
const mark = (value) => value.length === 0 ? bin(0)(value) : bin(32)(value)
const shapes = {
  serverAuth: array(bin(1, maxIdentity), bin(257), bin(64)),
  clientAuth: array(bin(1, maxIdentity), bin(257), credentials, mark, bin(64)),
  clientHello: array(bin(1, maxIdentity), credentials, mark),
  serverHello: array(bin(1, maxIdentity)),
  refusal: array(bin(1, maxIdentity), bin(64)),
}

// handshake reads m1 to m4, or as many of them as there are.
export function handshake(c) {
  const noise = new Noise('NNpsk2', sessionPrologue())
  const steps = [readM1, readM2, readM3, readM4]
  const state = { ...c, noise, opened: {}, differ: false }
  c.frames.forEach((frame, i) => steps[i](frame, state))
  return state
}

function readM1(frame, state) {
  if (frame.length !== 1232) refuse()
  state.clientShare = frame.subarray(0, 32)
  state.noise.share(state.clientShare)
  state.ek = state.noise.payload(frame.subarray(32))
  checkEK(state.ek)
  x25519(state.server.x25519, state.clientShare)
}

// checkEK refuses the key of zeros too.
function checkEK(ek) {
  checkMLKEM(ek)
  if (ek.subarray(0, 1152).every((b) => b === 0)) refuse()
}

function readM2(frame, state) {
  if (frame.length < 1088 + 48 + 80 || frame.length > maxFrame) refuse()
  const { noise } = state
  const [ct, e, tag, auth] = cut(frame, 1088, 32, 16)
  const psk = bindKEM('psk', decapsulate(ct, state.client), state.ek, ct)
  noise.share(e)
  noise.mixKey(x25519(state.client.x25519, e))
  noise.psk(psk)
  noise.payload(tag)
  state.schedule = new Schedule(noise.h, ...noise.split())
  state.first = { psk, ...state.schedule.secrets(['h', 'hs']) }
  readAuth('server', auth, state)
}

function decapsulate(ct, { mlkem }) {
  return attempt(() => ml_kem768.decapsulate(ct, ml_kem768.keygen(mlkem).secretKey))
}

function readAuth(role, sealed, state) {
  if (sealed.length < 80 || sealed.length > maxFrame) refuse()
  const { schedule } = state
  const { data } = parsePadded(schedule.open(`${role} auth`, sealed), 0)
  const fields = structure(data, shapes[`${role}Auth`])
  const [identity, spoken, signature] = [fields[0], fields[1], fields.at(-1)]
  checkSpeech(spoken)
  const { signing, fingerprint, revoked } = identityOf(identity)
  if (revoked) refuse()
  verifyEd25519(signing[0].key, concat(S(`${role} signature`), schedule.transcript, H(identity), spoken), signature)
  const other = role === 'server' ? 'client' : 'server'
  if (same(fingerprint, identityOf(state[other].identity).fingerprint)) refuse()
  if (role === 'client') readClaims(fields[2], fields[3], state)
  state.differ ||= !same(spoken, speech(state[other]))
  schedule.absorb(sealed)
}

// checkSpeech refuses a name that there is not, and anything but zeros behind one.
function checkSpeech(spoken) {
  if (spoken[1] === 0 || spoken.subarray(2 + spoken[1]).some((b) => b !== 0)) refuse()
}

// readClaims takes what a client shows beside its identity, and tells what the server finds out about the hop.
function readClaims(credentials, mark, state) {
  const { server: { binding }, schedule, opened } = state
  opened.credentials = credentials
  state.marked = mark.length > 0
  if (!state.marked || !binding) {
    opened.hop = 0
  } else {
    opened.hop = same(mark, H(S('hop'), schedule.transcript, binding)) ? 1 : 2
  }
}

const readM3 = (frame, state) => readAuth('client', frame, state)

function readM4(frame, state) {
  if (frame.length !== 80) refuse()
  const { fields, data } = parsePadded(state.schedule.open('accept', frame), 6)
  if (data.length > 0) refuse()
  readVerdict(fields, state.differ ? [4] : [0, 1, 2, 5], state)
}

// readVerdict takes one of these codes.
function readVerdict(fields, codes, { opened, marked }) {
  const [code, hop, lifetime] = [fields[0], fields[1], uint32(fields.subarray(2))]
  if (!codes.includes(code) || hop > 2 || hop > 0 && !marked) refuse()
  if (code > 0 && (hop > 0 || lifetime > 0)) refuse()
  Object.assign(opened, { code, hop, lifetime })
}

// resume reads r1 to r4, or as many of them as there are.
export const resume = (c) => resumeWith(c, readR1, readR2, readR3, readR4)

// refusal reads r1 and what a server answers that does not know the session.
export const refusal = (c) => resumeWith(c, readR1, readRefusal)

function resumeWith(c, ...steps) {
  const state = { ...c, opened: {} }
  const noise = state.noise = new Noise('NNpsk0', resumePrologue(c))
  noise.psk(expand(c.secret, S('resume psk'), 32))
  c.frames.forEach((frame, i) => steps[i](frame, state))
  return state
}

function readR1(frame, state) {
  if (frame.length !== 80) refuse()
  const [id, e, tag] = cut(frame, 32, 32)
  if (!same(id, expand(state.secret, S('resume id'), 32))) refuse()
  state.noise.share(e)
  state.noise.payload(tag)
  x25519(state.server.x25519, e)
}

function readR2(frame, state) {
  if (frame.length !== 48) refuse()
  const { noise } = state
  const [e, tag] = cut(frame, 32)
  noise.share(e)
  noise.mixKey(x25519(state.client.x25519, e))
  noise.payload(tag)
  state.schedule = new Schedule(noise.h, ...noise.split())
}

function readRefusal(frame, { frames, client, server }) {
  if (frame.length < 1 + 32 + 64 + 16 || frame.length > maxFrame || frame[0] !== 0) refuse()
  const r1 = H(frames[0])
  const sealed = frame.subarray(1)
  const { data } = parsePadded(openX25519(client.x25519, concat(S('resume refusal'), r1), sealed), 0)
  const [identity, signature] = structure(data, shapes.refusal)
  checkSuccessor(identity, server.identity)
  const signed = concat(S('resume refusal signature'), r1, H(sealed.subarray(0, 32)), H(identity))
  verifyEd25519(identityOf(identity).signing[0].key, signed, signature)
}

function readR3(frame, state) {
  const [fields, values] = readHello('client', frame, 24, state)
  state.opened.attempt = readUint64(fields)
  state.opened.clientReceived = readUint64(fields.subarray(8))
  state.opened.clientArrived = readUint64(fields.subarray(16))
  readClaims(values[1], values[2], state)
  state.schedule.absorb(frame)
}

function readR4(frame, state) {
  const [fields] = readHello('server', frame, 22, state)
  readVerdict(fields, [0, 1, 2, 3, 5, 6], state)
  state.opened.serverReceived = readUint64(fields.subarray(6))
  state.opened.serverArrived = readUint64(fields.subarray(14))
  if (state.opened.code > 0 && (state.opened.serverReceived > 0n || state.opened.serverArrived > 0n)) refuse()
  state.schedule.absorb(frame)
}

function readHello(role, frame, fieldsSize, state) {
  if (frame.length < 80 || frame.length > maxFrame) refuse()
  const { fields, data } = parsePadded(state.schedule.open(`resume ${role} hello`, frame), fieldsSize)
  const values = structure(data, shapes[`${role}Hello`])
  checkSuccessor(values[0], state[role].identity)
  return [fields, values]
}

// checkSuccessor takes an identity that is known, or a later statement by its root.
function checkSuccessor(identity, known) {
  checkLater(identity, known)
  if (identityOf(identity).revoked) refuse()
}

// rekey reads the fields of a request and of its answer.
export function rekey(c) {
  const state = { ...c, opened: {} }
  const noise = state.noise = new Noise('NNpsk0', rekeyPrologue(c))
  noise.psk(c.secret)
  const steps = [readRequest, readAnswer]
  c.frames.forEach((frame, i) => steps[i](frame, state))
  return state
}

function readRequest(fields, state) {
  if (fields.length !== 32 + 1184 + 16) refuse()
  const [e, payload] = cut(fields, 32)
  state.noise.share(e)
  state.ek = state.noise.payload(payload)
  checkEK(state.ek)
  x25519(state.server.x25519, e)
}

function readAnswer(fields, state) {
  if (fields.length !== 32 + 1088 + 16) refuse()
  const { noise } = state
  const [e, payload] = cut(fields, 32)
  noise.share(e)
  noise.mixKey(x25519(state.client.x25519, e))
  const ct = noise.payload(payload)
  const kem = bindKEM('rekey kem', decapsulate(ct, state.client), state.ek, ct)
  state.schedule = new Schedule(noise.h, ...noise.split(), kem)
}

// cut takes parts of these sizes, and what is left.
function cut(bytes, ...sizes) {
  const parts = sizes.map((size) => {
    const part = bytes.subarray(0, size)
    bytes = bytes.subarray(size)
    return part
  })
  return [...parts, bytes]
}
