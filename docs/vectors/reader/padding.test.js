// Only who holds the keys can pad wrongly, so here the padding stands alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unpad } from './envelope.js'
import { unpadSegments } from './stream.js'

const refused = { message: 'does not open' }
const chosen = 2 ** 31

function padded(word, total) {
  const bytes = Buffer.alloc(total)
  bytes.writeUInt32BE(word)
  bytes.fill(0x61, 4, Math.min(total, 4 + word % chosen))
  return bytes
}

// Content, and the total for it when nobody chose one, worked out by hand from the definition of Padmé.
const totals = [[0, 64], [1, 64], [60, 64], [61, 72], [68, 72], [69, 80], [124, 128], [125, 144], [1000, 1024], [1021, 1088],
  [65_531, 65_536], [65_532, 65_536], [65_533, 67_584], [200_000, 200_704]]

test('an envelope has one total, or a chosen one that holds its content', () => {
  for (const [n, total] of totals) {
    assert.equal(unpad(padded(n, total)).length, n)
    for (const other of [total - 1, total + 1, 2 * total, 4 + n].filter((t) => t !== total)) {
      assert.throws(() => unpad(padded(n, other)), refused, `${n} in ${other}`)
    }
    for (const other of [4 + n, 5 + n, total, total + 1]) assert.equal(unpad(padded(chosen + n, other)).length, n)
    if (n > 0) assert.throws(() => unpad(padded(chosen + n, 3 + n)), refused, `${n} in ${3 + n}`)
  }
})

test('what lies about its length, and padding that is not zero, is refused', () => {
  for (const word of [61, 2 ** 31 - 5, 2 ** 31 - 1, chosen + 61, 2 ** 32 - 1]) {
    assert.throws(() => unpad(padded(word, 64)), refused, String(word))
  }
  for (const word of [10, chosen + 10]) {
    for (let at = 14; at < 64; at++) {
      const bytes = padded(word, 64)
      bytes[at] = 1
      assert.throws(() => unpad(bytes), refused, `byte ${at}`)
    }
  }
  for (const size of [0, 1, 2, 3]) assert.throws(() => unpad(Buffer.alloc(size)), refused)
})

const full = 65_532
const segments = (...words) => words.map(([word, size = 65_536]) => padded(word, size))

test('segments hold full ones, the rest, then padding', () => {
  const accepted = [
    [[0, 64]], [[60, 64]], [[61, 72]], [[65_531]], [[chosen, 4]], [[chosen + 3, 7]],
    [[full], [0, 2048]], // U = 65,540, which Padmé makes 67,584
    [[full], [chosen, 4]], [[full], [full], [chosen + 5, 9]], [[full], [chosen + 5], [0, 4]],
    [[chosen], [0], [0, 100]], [[full], [100, 2048]],
  ]
  for (const words of accepted) {
    const content = words.reduce((sum, [word]) => sum + word % chosen, 0)
    assert.equal(unpadSegments(segments(...words)).length, content, JSON.stringify(words))
  }
})

test('every other order, length and total is refused', () => {
  const refusals = [
    [[full]], [[full], [full]], [[chosen + full]], // the rest is missing
    [[full, 65_000]], [[full], [full, 65_000]],
    [[full], [chosen + full], [0, 4]], [[chosen + full], [0, 2048]], // a full segment that chooses
    [[0], [full], [0, 4]], [[chosen], [full]], [[100], [100, 2048]], [[chosen + 100], [1, 5]], // data after the rest
    [[chosen], [chosen, 4]], [[chosen], [0], [chosen, 4]], // padding that chooses
    [[65_533]], [[chosen + 65_533]], [[65_536]], [[full], [chosen + 6, 9]], // beyond the segment
    [[0, 63]], [[0, 65]], [[61, 64]], [[61, 73]], [[full], [0, 2047]], [[full], [0, 2049]], [[full], [0, 4]], // totals
    [[65_531], [0, 4]], [[0], [0, 4]],
  ]
  for (const words of refusals) assert.throws(() => unpadSegments(segments(...words)), refused, JSON.stringify(words))
})

test('each byte of padding in segments is zero', () => {
  const words = [[full], [chosen + 5], [0, 100]]
  for (const [segment, at] of [[1, 9], [1, 65_535], [2, 4], [2, 99]]) {
    const changed = segments(...words)
    unpadSegments(changed)
    changed[segment][at] = 1
    assert.throws(() => unpadSegments(changed), refused, `byte ${at} of segment ${segment}`)
  }
})
