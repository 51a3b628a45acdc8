//go:build !js

package servertls

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

const (
	ticketSecretSize = 32
	maxTicketSecrets = 4
)

// A TicketSecret is 32 random bytes that the nodes of a service share. It prints
// as [TicketSecret].
type TicketSecret struct{ secret [ticketSecretSize]byte }

// NewTicketSecret returns secret as a TicketSecret. The 32 bytes have to come from a
// cryptographic random generator.
func NewTicketSecret(secret []byte) (*TicketSecret, error) {
	if len(secret) != ticketSecretSize {
		return nil, fmt.Errorf("servertls: a ticket secret has %d bytes, not %d", len(secret), ticketSecretSize)
	}
	return &TicketSecret{secret: [ticketSecretSize]byte(secret)}, nil
}

const redacted = "[TicketSecret]"

// Format prints no secret, whatever the verb.
func (TicketSecret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs no secret.
func (TicketSecret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText encodes no secret.
func (TicketSecret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// parseTicketSecrets reads the format of Options.TicketFile. Its errors show nothing of
// the contents.
func parseTicketSecrets(b []byte) ([]TicketSecret, error) {
	var secrets []TicketSecret
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		raw, err := base64.StdEncoding.Strict().AppendDecode(nil, line)
		if err != nil || len(raw) != ticketSecretSize {
			return nil, errors.New("a line is not 32 bytes in base64: make one with openssl rand -base64 32")
		}
		secrets = append(secrets, TicketSecret{secret: [ticketSecretSize]byte(raw)})
	}
	if len(secrets) == 0 || len(secrets) > maxTicketSecrets {
		return nil, fmt.Errorf("there are %d secrets in it: one to %d are needed", len(secrets), maxTicketSecrets)
	}
	return secrets, nil
}

// ticketKeys returns the keys for crypto/tls. The first key makes tickets; all keys open
// them. Each secret has keys of the current, the previous and the next period: the last
// because another node's clock may be ahead.
func ticketKeys(secrets []TicketSecret, period time.Duration, number int64) [][32]byte {
	var keys [][32]byte
	for _, s := range secrets {
		for _, n := range []int64{number, number - 1, number + 1} {
			keys = append(keys, s.key(period, n))
		}
	}
	return keys
}

// key derives the key of a period by HKDF-SHA256 (RFC 5869). The info is a label, the period's
// length in seconds and its number since 1970, both as 64 bits, big-endian. The length keeps
// nodes with different periods from sharing a key.
func (s *TicketSecret) key(period time.Duration, number int64) [32]byte {
	info := []byte(label.TicketKey)
	info = binary.BigEndian.AppendUint64(info, uint64(period/time.Second))
	info = binary.BigEndian.AppendUint64(info, uint64(number))
	key, err := hkdf.Key(sha256.New, s.secret[:], nil, string(info), 32)
	if err != nil {
		panic("servertls: " + err.Error()) // 32 bytes are never too long
	}
	return [32]byte(key)
}

// periodAt returns the number of the period that contains t, and when it ends.
func periodAt(t time.Time, period time.Duration) (number int64, end time.Time) {
	seconds := int64(period / time.Second)
	number = t.Unix() / seconds
	return number, time.Unix((number+1)*seconds, 0)
}
