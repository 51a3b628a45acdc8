// Padded totals (section 3.1).
import { refuse } from './refuse.js'

export const maxContent = 2 ** 31 - 5
export const maxTotal = 2 ** 31 // in an envelope

// splitLength takes the first four bytes apart: the number of bytes of data, and whether the sender chose the total.
export const splitLength = (word) => ({ length: word % 2 ** 31, chosen: word >= 2 ** 31 })

// checkTotal judges a total for what it must hold, which is 4 + n in an envelope.
export function checkTotal(total, used, chosen) {
  if (chosen ? total < used : total !== Math.max(64, padme(used))) refuse()
}

export function checkZeros(bytes) {
  if (bytes.some((b) => b !== 0)) refuse()
}

// padme needs L of 2 or more. The digits of a number in base 2 tell its logarithm exactly.
function padme(L) {
  const E = L.toString(2).length - 1
  const S = E.toString(2).length // floor(log2 E) + 1
  const unit = 2 ** (E - S)
  return Math.ceil(L / unit) * unit
}
