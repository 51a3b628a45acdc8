package keystore

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// A store's writer takes requests over a Unix socket beside the store, mode 0600, from clients that
// know the store's master key. One connection carries one request:
//
//	client:  array(2) [ version=1, nonce bin 32 ]
//	writer:  array(2) [ nonce bin 32, proof bin 32 ]
//	client:  AES-256-GCM(request key, nonce 0, request)
//	writer:  AES-256-GCM(answer key, nonce 0, answer)
//
//	frame                              = length 4, big-endian ‖ body
//	control key                        = HKDF(master, L("keys store control"), 32)
//	proof ‖ request key ‖ answer key   = HKDF(control key, L("keys store control") ‖ client's nonce ‖ writer's nonce, 96)
//
// with HKDF and HMAC over SHA-256. The keys belong to one connection, hence the fixed nonces: a
// request or an answer of another connection does not open. The client sends its request only after
// the proof, so nobody else sees what it asks, and an error before that means that nothing was done.
// The writer does not answer what does not open or parse.
const (
	controlVersion = 1
	nonceSize      = 32
	proofSize      = 32

	maxGreeting = 128      // bytes, of the first two frames
	maxAnswer   = 64 << 10 // bytes

	// A request may carry a shared keyset, which is two keysets with the lives of their keys.
	maxRequest = 2*ring.MaxSize + 64<<10 // bytes

	controlConnections = 16               // at a time; others wait in the kernel
	controlTime        = 5 * time.Second  // for a request to come; a later one is refused
	greetTime          = 20 * time.Second // for a client to reach the writer
	queueTime          = 30 * time.Second // for earlier changes to end; else the request is refused
	beginPause         = 5 * time.Millisecond
	answerTime         = 60 * time.Second // for the writer to make the change: a disk may be slow
)

// What can go wrong between a [Client] and the writer of its store.
var (
	// ErrNotServed is wrapped if the writer takes no requests, or nobody has the store open.
	// Nothing was changed.
	ErrNotServed = socket.ErrNotServed
	// ErrWriterBusy is wrapped if the writer does not answer, or could not begin the change in
	// time. Nothing was changed.
	ErrWriterBusy = errors.New("the process that has the store open is busy, or does not answer")
	// ErrNotTheWriter is wrapped if the process that answers does not know the store's key. It
	// was told nothing, and nothing was changed.
	ErrNotTheWriter = errors.New("what answers beside the store is not its writer")
	// ErrNoAnswer is wrapped if the request was sent and no answer came back. The change may have
	// been made. It is not made later.
	ErrNoAnswer = errors.New("the request was sent and not answered: it may have been done, or not")
)

var errWire = errors.New("keys: malformed")

// controlKey returns the key that a store's writer and its clients share. It does not open the store.
func controlKey(master []byte) []byte { return derive(master, 32) }

func derive(key []byte, size int, parts ...[]byte) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, string(label.StoreControl.With(parts...)), size)
	if err != nil {
		panic(err) // 96 bytes are within HKDF's limit
	}
	return out
}

// linkKeys are the keys of one connection.
type linkKeys struct {
	proof           []byte
	request, answer cipher.AEAD
}

func newLinkKeys(control, client, writer []byte) linkKeys {
	out := derive(control, proofSize+2*32, client, writer)
	return linkKeys{out[:proofSize], gcm.New(out[proofSize:][:32]), gcm.New(out[proofSize+32:])}
}

func sameProof(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func sealFrame(aead cipher.AEAD, b []byte) []byte {
	return aead.Seal(nil, make([]byte, aead.NonceSize()), b, nil)
}

func openFrame(aead cipher.AEAD, b []byte) ([]byte, error) {
	return aead.Open(nil, make([]byte, aead.NonceSize()), b, nil)
}

func newNonce() []byte {
	b := make([]byte, nonceSize)
	rand.Read(b)
	return b
}

func writeFrame(w io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

// readFrame refuses a length above the limit. It allocates only for bytes that have come.
func readFrame(r io.Reader, limit uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > limit {
		return nil, errWire
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(body) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

// endWith unblocks reads and writes of conn when ctx ends.
func endWith(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

func appendHello(b, client []byte) []byte {
	return strict.AppendBin(strict.AppendUint(strict.AppendArray(b, 2), controlVersion), client)
}

func parseHello(b []byte) (client []byte, err error) {
	r := strict.NewReader(b)
	r.Array(2)
	version := r.Uint()
	client = r.Bin(nonceSize, nonceSize)
	if r.Done() != nil || version != controlVersion {
		return nil, errWire
	}
	return client, nil
}

func appendHi(b, writer, proof []byte) []byte {
	return strict.AppendBin(strict.AppendBin(strict.AppendArray(b, 2), writer), proof)
}

func parseHi(b []byte) (writer, proof []byte, err error) {
	r := strict.NewReader(b)
	r.Array(2)
	writer, proof = r.Bin(nonceSize, nonceSize), r.Bin(proofSize, proofSize)
	if r.Done() != nil {
		return nil, nil, errWire
	}
	return writer, proof, nil
}
