package e2e_test

import (
	"io"
	"math/rand/v2"
	"testing"
)

// randomBytes returns the same ones for each seed.
func randomBytes(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

func mustWriteTo(t testing.TB, c io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(c, text); err != nil || n != len(text) {
		t.Fatalf("Write: %d, %v", n, err)
	}
}

func mustReadFrom(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("Read: %q, %v, want %q", got, err, want)
	}
}
