import { timingSafeEqual } from 'node:crypto'

// refuse is the one way in which anything fails: what was wrong is nobody's business outside (section 3.4).
export function refuse() {
  throw new Error('does not open')
}

export function same(a, b) {
  return a.length === b.length && timingSafeEqual(a, b)
}

// attempt turns the errors of a library on bytes from outside into a refusal.
export function attempt(f) {
  try {
    return f()
  } catch {
    return refuse()
  }
}
