//go:build !js

package transport

import (
	"fmt"
	"io"
)

// Format prints nothing of the options, which hold credentials, for any verb.
func (DialOptions) Format(s fmt.State, _ rune) { io.WriteString(s, "transport.DialOptions{…}") }

// MarshalJSON shows nothing of the options either, above all to logs.
func (DialOptions) MarshalJSON() ([]byte, error) { return []byte(`"transport.DialOptions{…}"`), nil }

// Format prints nothing of the options, which hold private keys, for any verb.
func (*TLSOptions) Format(s fmt.State, _ rune) { io.WriteString(s, "&transport.TLSOptions{…}") }

// MarshalJSON shows nothing of the options either, above all to logs.
func (*TLSOptions) MarshalJSON() ([]byte, error) { return []byte(`"transport.TLSOptions{…}"`), nil }
