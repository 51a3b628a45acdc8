package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/argon2"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// What can be wrong with a key file. The errors returned wrap one of these and
// name the file and what to do.
var (
	ErrPassphrase  = errors.New("wrong passphrase")
	ErrDamaged     = errors.New("not a Hopseal key file, or damaged")
	ErrPermissions = errors.New("key file is open to other users")
)

// What a file holds. The number stands in the file's head, which the key check
// and the AEAD cover: one kind never opens as another.
const (
	fileIdentity   = 1
	fileKnownPeers = 2
	fileShared     = 3
)

const (
	fileMagic   = "hopseal key file"
	fileVersion = 1
	maxFileSize = 16 << 20
	saltSize    = 16
	checkSize   = 32
)

// argonParams are Argon2id's costs. Whatever a file asks for above the limits is
// refused before any memory is taken.
type argonParams struct {
	time, memory, threads uint64 // passes, KiB, lanes
}

var (
	argonCost   = argonParams{3, 64 << 10, 4} // RFC 9106, section 4, second recommended option
	argonLimits = argonParams{16, 256 << 10, 16}
)

func (p argonParams) allowed() bool {
	return p.time >= 1 && p.time <= argonLimits.time && p.threads >= 1 && p.threads <= argonLimits.threads &&
		p.memory >= 8*p.threads && p.memory <= argonLimits.memory
}

// SaveIdentity writes the identity to a file, encrypted under the passphrase,
// with mode 0600. An existing file is replaced at once or not at all. It takes
// about 0.2 s and 64 MiB, by intent.
func SaveIdentity(path string, id *Identity, passphrase []byte) error {
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return err
	}
	return save(path, fileIdentity, b, passphrase)
}

// LoadIdentity reads what SaveIdentity wrote. Errors wrap [ErrPassphrase],
// [ErrDamaged], [ErrPermissions] or the file system's.
func LoadIdentity(path string, passphrase []byte) (*Identity, error) {
	b, err := load(path, fileIdentity, passphrase)
	if err != nil {
		return nil, err
	}
	id, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
	if err != nil {
		return nil, fileError(path, ErrDamaged, "restore it from a backup")
	}
	return id, nil
}

// SaveSharedKeyset is [SaveIdentity] for a shared keyset.
func SaveSharedKeyset(path string, s *SharedKeyset, passphrase []byte) error {
	b, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return err
	}
	return save(path, fileShared, b, passphrase)
}

// LoadSharedKeyset is [LoadIdentity] for a shared keyset.
func LoadSharedKeyset(path string, passphrase []byte) (*SharedKeyset, error) {
	b, err := load(path, fileShared, passphrase)
	if err != nil {
		return nil, err
	}
	s, err := ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
	if err != nil {
		return nil, fileError(path, ErrDamaged, "restore it from a backup")
	}
	return s, nil
}

// SaveKnownPeers is [SaveIdentity] for a list of known peers: it holds no
// secret, and the encryption keeps others from changing whom the user trusts.
func SaveKnownPeers(path string, k *KnownPeers, passphrase []byte) error {
	return save(path, fileKnownPeers, k.Bytes(), passphrase)
}

// LoadKnownPeers is [LoadIdentity] for a list of known peers.
func LoadKnownPeers(path string, passphrase []byte) (*KnownPeers, error) {
	b, err := load(path, fileKnownPeers, passphrase)
	if err != nil {
		return nil, err
	}
	k, err := ParseKnownPeers(b)
	if err != nil {
		return nil, fileError(path, ErrDamaged, "restore it from a backup")
	}
	return k, nil
}

func fileError(path string, err error, advice string) error {
	return fmt.Errorf("keys: %s: %w: %s", path, err, advice)
}

// save seals content under a key made from the passphrase and a new salt.
//
//	file = head ‖ check 32 ‖ ciphertext ‖ tag 16
//	head = array(7) [ magic str, version=1, kind, argon2id passes, KiB, lanes, salt bin 16 ]
//
// check names the key by a hash of it, so that a wrong passphrase is told apart
// from a damaged file, and commits to it. The key serves one message under one
// salt, hence the fixed nonce.
func save(path string, kind uint64, content, passphrase []byte) error {
	if len(passphrase) == 0 {
		return errors.New("keys: refusing an empty passphrase")
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	head := appendFileHead(nil, kind, argonCost, salt)
	key, check := fileKeys(passphrase, salt, argonCost, head)
	b := append(head, check...)
	b = key.Seal(b, make([]byte, key.NonceSize()), content, label.IdentityFile.With(b))
	return writeAtomic(path, b)
}

func load(path string, kind uint64, passphrase []byte) ([]byte, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	params, salt, headSize := parseFileHead(b, kind)
	if salt == nil {
		return nil, fileError(path, ErrDamaged, "restore it from a backup")
	}
	key, check := fileKeys(passphrase, salt, params, b[:headSize])
	body := headSize + checkSize
	if subtle.ConstantTimeCompare(check, b[headSize:body]) != 1 {
		return nil, fileError(path, ErrPassphrase, "try again, or restore the file if its first bytes were changed")
	}
	content, err := key.Open(nil, make([]byte, key.NonceSize()), b[body:], label.IdentityFile.With(b[:body]))
	if err != nil {
		return nil, fileError(path, ErrDamaged, "restore it from a backup")
	}
	return content, nil
}

func appendFileHead(dst []byte, kind uint64, p argonParams, salt []byte) []byte {
	dst = strict.AppendStr(strict.AppendArray(dst, 7), fileMagic)
	for _, v := range []uint64{fileVersion, kind, p.time, p.memory, p.threads} {
		dst = strict.AppendUint(dst, v)
	}
	return strict.AppendBin(dst, salt)
}

// parseFileHead returns a nil salt for a head that it does not accept.
func parseFileHead(b []byte, kind uint64) (p argonParams, salt []byte, size int) {
	r := strict.NewReader(b)
	r.Array(7)
	magic := r.Str(len(fileMagic), len(fileMagic))
	version, found := r.Uint(), r.Uint()
	p = argonParams{r.Uint(), r.Uint(), r.Uint()}
	salt = r.Bin(saltSize, saltSize)
	size = len(b) - r.Len()
	if r.Failed() || magic != fileMagic || version != fileVersion || found != kind ||
		!p.allowed() || r.Len() < checkSize+16 {
		return argonParams{}, nil, 0
	}
	return p, salt, size
}

// fileKeys derives the file's AEAD and the check value. The head enters both.
func fileKeys(passphrase, salt []byte, p argonParams, head []byte) (cipher.AEAD, []byte) {
	master := argon2.IDKey(passphrase, salt, uint32(p.time), uint32(p.memory), uint8(p.threads), 32)
	out, err := hkdf.Key(sha256.New, master, nil, string(label.IdentityFile.With(head)), 32+checkSize)
	if err != nil {
		panic(err) // 64 bytes are within HKDF's limit
	}
	block, err := aes.NewCipher(out[:32])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead, out[32:]
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if m := info.Mode().Perm(); runtime.GOOS != "windows" && m&0o077 != 0 {
		return nil, fileError(path, ErrPermissions, fmt.Sprintf("mode is %#o; run chmod 600", m))
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return nil, fileError(path, ErrDamaged, "expected a regular file of at most 16 MiB")
	}
	return os.ReadFile(path)
}

// writeAtomic replaces path by way of a new file beside it: a reader, or a
// restart after power loss, finds the old content or the new, never a part.
func writeAtomic(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keys: %s not written: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && runtime.GOOS != "windows" {
		return err
	}
	return nil
}
