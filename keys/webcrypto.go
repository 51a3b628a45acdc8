package keys

import (
	"github.com/hopseal/hopseal/internal/webcrypto"
	"github.com/hopseal/hopseal/internal/xaes"
)

func init() {
	webcrypto.MessageKey = func(pair any, nonce []byte) []byte { return pair.(*SharedKey).messageKey(nonce) }
	webcrypto.Count = func(pair any, size int) error { return pair.(*SharedKey).count(size) }
}

// messageKey returns the key of the one message that has this nonce, nil for AES256_GCM.
func (k *SharedKey) messageKey(nonce []byte) []byte {
	a, derives := k.aead.(*xaes.AEAD)
	if !derives || len(nonce) != xaes.NonceSize {
		return nil
	}
	key := new([xaes.KeySize]byte)
	a.MessageKey(key, nonce)
	return key[:]
}
