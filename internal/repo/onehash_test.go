package repo

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hashes are all that a Go program finds in the standard library and in x/crypto, but for
// SHA-256.
var hashes = []string{"crypto/md5", "crypto/sha1", "crypto/sha3", "crypto/sha512",
	"golang.org/x/crypto/blake2b", "golang.org/x/crypto/blake2s", "golang.org/x/crypto/md4",
	"golang.org/x/crypto/ripemd160", "golang.org/x/crypto/sha3"}

// otherHashes are the places where one of those is right, and why.
var otherHashes = map[string]string{
	"keys/trust/safety.go: crypto/sha512":       "a safety number takes 60 bytes, and no reader of messages makes one",
	"internal/xwing/compose.go: crypto/sha3":    "X-Wing",
	"internal/bench/recipients.go: crypto/sha3": "X-Wing, to compare with",
	"internal/fronts/impostor.go: crypto/sha1":  "the handshake of a WebSocket",
	"internal/hostile/front.go: crypto/sha1":    "the handshake of a WebSocket",
}

// Every digest of the formats is SHA-256: no module of ours imports another hash, BLAKE2b above
// all, which is Argon2id's alone. Tests may make known bytes with any that the standard library
// has.
func TestOneHash(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		return hashesIn(path, filepath.ToSlash(name), found)
	})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, found, otherHashes, "the formats have one hash, crypto/sha256. If this is for something else, say so in otherHashes")
}

// hashesIn finds places such as "keys/trust/safety.go: crypto/sha512".
func hashesIn(path, name string, found map[string]bool) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range file.Imports {
		hash := strings.Trim(spec.Path.Value, `"`)
		test := strings.HasSuffix(name, "_test.go") && strings.HasPrefix(hash, "crypto/")
		if slices.Contains(hashes, hash) && !test {
			found[name+": "+hash] = true
		}
	}
	return nil
}
