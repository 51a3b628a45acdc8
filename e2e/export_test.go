package e2e

import (
	"reflect"
)

// HasKeys reports whether a session could still seal or open.
func HasKeys(s *Session) bool {
	half := func(name string) bool {
		return !reflect.ValueOf(s.engine).Elem().FieldByName(name).Elem().FieldByName("aead").IsNil()
	}
	return half("send") || half("recv")
}

// Secrets returns the secrets of a session that is not in use.
func Secrets(s *Session) (out [][]byte) {
	for _, name := range []string{"send", "recv"} {
		chain := reflect.ValueOf(s.engine).Elem().FieldByName(name).Elem().FieldByName("chain")
		b := make([]byte, chain.Len())
		for i := range b {
			b[i] = byte(chain.Index(i).Uint())
		}
		out = append(out, b)
	}
	return out
}
