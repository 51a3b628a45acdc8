//go:build !js

package main

import (
	"bytes"
	"fmt"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// readPublic reads a public identity.
func (c *call) readPublic(name string) (*keys.PublicIdentity, error) {
	b, err := c.readFile(name, maxPublicText)
	if err != nil {
		return nil, err
	}
	return parsePublic(name, b)
}

func parsePublic(name string, b []byte) (*keys.PublicIdentity, error) {
	p, err := keys.ParsePublic(decodeText(b))
	if err == nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s: %w: %s", name, err, otherFile(b))
}

// otherFile says what a file holds that is no public identity, as far as it shows.
func otherFile(b []byte) string {
	if bytes.HasPrefix(b, []byte(backupHead)) {
		return "it is a cleartext backup, with secret keys: keep it where nobody reads it, and import it with -insecure-cleartext"
	}
	raw := decodeText(b)
	_, sealed := sealedFor(raw)
	_, succession := trust.ParseSuccession(raw)
	switch {
	case bytes.Contains(raw[:min(len(raw), 32)], []byte("hopseal key file")):
		return "it is a store: give what 'hopseal key export' writes"
	case bytes.Contains(raw[:min(len(raw), 64)], []byte("PRIVATE KEY")):
		return "it is a private key of another program: keep it where nobody reads it"
	case sealed:
		return "it is a sealed shared keyset: import it with -shared and -from"
	case succession == nil:
		return "it is a succession: import it without flags"
	}
	return "it is damaged, cut short or something else: ask for it again"
}
