// What the vectors cannot show one by one: every second encoding of a value is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, bin, list, nil, structure, text, uint, valueSize } from './strict.js'

const refused = { message: 'does not open' }
const bytes = (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

const integer = uint(2n ** 64n)
const accepted = {
  'integers': [integer, '00', '7f', 'cc80', 'ccff', 'cd0100', 'cdffff', 'ce00010000', 'ceffffffff',
    'cf0000000100000000', 'cfffffffffffffffff'],
  'bytes': [bin(0, 70_000), 'c400', 'c4ff' + '01'.repeat(255), 'c50100' + '02'.repeat(256), 'c600010000' + '03'.repeat(65_536)],
  'text': [text(0, 70_000), 'a0', 'bf' + '61'.repeat(31), 'd920' + '61'.repeat(32), 'da0100' + '61'.repeat(256), 'a3efbbbf',
    'd9ffefbbbf' + '61'.repeat(252), 'a4f09f98ad', 'a100'],
  'arrays': [list(nil, 0, 70_000), '90', '9f' + 'c0'.repeat(15), 'dc0010' + 'c0'.repeat(16), 'dd00010000' + 'c0'.repeat(65_536)],
}

const refusals = {
  'integers': [integer, '', 'cc05', 'cd0005', 'cd00ff', 'ce00000005', 'ce0000ffff', 'cf0000000000000005',
    'cf00000000ffffffff', 'd005', 'd10005', 'd200000005', 'd30000000000000005', 'd30000000100000000', 'ff', 'd0ff',
    'd3ffffffffffffffff', 'ca40a00000', 'cb4014000000000000', 'cb41f0000000000000', 'cb8000000000000000', 'c0', 'c2', 'c3',
    'a135', 'c40105', '9105', 'cc', 'cf00000001000000', '0500', 'c1'],
  'bytes': [bin(0, 300), 'a161', 'c50001ff', 'c600000001ff', 'c60000010000', 'c6ffffffff', 'c402ff', '91c400', 'c0',
    'c7010000', 'd40100', 'd6ff00000000', 'c40100ff'],
  'text': [text(0, 300), 'c40161', 'd90161', 'd91f' + '61'.repeat(31), 'da000161', 'db0000000161', 'dbffffffff', 'a1ff', 'a2c080', 'a3eda080',
    'a6eda080edb080', 'a2e282', 'a4f4908080', 'a261', 'a1c3', 'd9fa' + '61'.repeat(249) + 'ff'],
  'arrays': [array(integer, nil), '9105', '9305c0c0', '9205', '9205c000', 'dc000205c0', 'dd0000000205c0', 'ddffffffff',
    '820500c0c0', '8105c0', 'de000105c0', '92c005', 'c40205c0', '80', '05'],
}

test('one encoding of each value is accepted', () => {
  for (const [kind, [shape, ...cases]] of Object.entries(accepted)) {
    for (const hex of cases) assert.doesNotThrow(() => structure(bytes(hex), shape), `${kind}: ${hex.slice(0, 40)}`)
  }
})

test('every other one is refused', () => {
  for (const [kind, [shape, ...cases]] of Object.entries(refusals)) {
    for (const hex of cases) assert.throws(() => structure(bytes(hex), shape), refused, `${kind}: ${hex.slice(0, 40)}`)
  }
})

test('integers and lengths out of their bounds are refused', () => {
  const bounds = [
    [uint(3), '02', '03'], [uint(2 ** 40), 'cf000000ffffffffff', 'cf0000010000000000'],
    [bin(2), 'c4020000', 'c40100'], [bin(1, 2), 'c4020000', 'c403000000'],
    [text(1, 2), 'a2c3a9', 'a3c3a961'], // bytes, not characters
    [list(nil, 1, 2), '92c0c0', '93c0c0c0'], [list(nil, 1, 2), '91c0', '90'],
  ]
  for (const [shape, within, without] of bounds) {
    structure(bytes(within), shape)
    assert.throws(() => structure(bytes(without), shape), refused, without)
  }
})

test('the size of a value that is not all there is refused', () => {
  for (const hex of ['c402ff', '92c0', 'a5616161', 'ce000000', 'c5ff', 'dd0000000300']) {
    assert.throws(() => valueSize(bytes(hex)), refused, hex)
  }
  assert.equal(valueSize(bytes('92c0c402ffff05')), 6)
})

test('nesting ends at 16, and costs no memory before', () => {
  assert.equal(valueSize(bytes('91'.repeat(16) + 'c0')), 17)
  assert.throws(() => valueSize(bytes('91'.repeat(17) + 'c0')), refused)
  assert.throws(() => valueSize(Buffer.alloc(2 ** 21, 0x91)), refused)
  assert.throws(() => valueSize(Buffer.alloc(2 ** 20, bytes('dc03e8'))), refused)
})
