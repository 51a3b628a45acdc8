package wasmbuild

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// The table of multiples of P-256's generator (p256PrecomputedEmbed in p256_table.go of package
// crypto/internal/fips140/nistec): random bytes, 88 KB of brotli. Package crypto/ecdh, which the
// core needs for X25519, imports nistec, whose init stores the table's address. The one function
// that reads it is ScalarBaseMult, which makes public keys of P-256.
const (
	p256Init   = "crypto/internal/fips140/nistec.init.0"
	p256Reader = "crypto/internal/fips140/nistec.(*P256Point).ScalarBaseMult"
	p256Start  = "\x3c\x14\xa9\x18\xd4\x30\xe7\x79\x01\xb6\xed\x5f\xfc\x95\xba\x75"
	p256Size   = 43 * 32 * 64
	p256Hash   = "a3a5d08c40939adb7c0e9e4f5b689721" // how its SHA-256 begins
)

// dropP256 clears the table, unless it is missing. It refuses a core that has what reads the table.
func (s *symbols) dropP256(memory []byte) error {
	has := func(name string) bool {
		return slices.ContainsFunc(s.list, func(f function) bool { return s.name(f) == name })
	}
	if !has(p256Init) {
		return nil
	}
	at := bytes.Index(memory, []byte(p256Start))
	if at < 0 || at+p256Size > len(memory) || has(p256Reader) {
		return unknown("the use of P-256")
	}
	table := memory[at : at+p256Size]
	if sum := sha256.Sum256(table); hex.EncodeToString(sum[:16]) != p256Hash {
		return unknown("the table of P-256")
	}
	clear(table)
	return nil
}
