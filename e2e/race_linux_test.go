//go:build race

package e2e_test

const raced = true // the race detector takes ten times as long
