//go:build !js

package transport_test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
)

func pemOf(certs ...*x509.Certificate) (text []byte) {
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// quiet is for servers whose handshakes fail on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
