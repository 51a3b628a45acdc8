// Package repo holds the tests that are about the repository as a whole: its
// layout, what its documents say, and what they point to.
package repo
