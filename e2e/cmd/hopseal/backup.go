//go:build !js

package main

import (
	"encoding/base64"
	"errors"
	"strings"
)

// A cleartext backup is a text that says what it is, and then everything that a
// store holds as package keys writes it, in base64 in lines of 76:
//
//	"hopseal insecure cleartext backup 1" LF { base64 LF }
const (
	backupHead = "hopseal insecure cleartext backup 1\n"
	backupLine = 76
)

var errBackup = errors.New("not a cleartext backup, or damaged: check the name, or use another copy")

func backupText(contents []byte) string {
	var text strings.Builder
	text.WriteString(backupHead)
	for rest := encodeText(contents); rest != ""; {
		n := min(len(rest), backupLine)
		text.WriteString(rest[:n] + "\n")
		rest = rest[n:]
	}
	return text.String()
}

// parseBackup reads what backupText writes, and nothing else.
func parseBackup(text string) ([]byte, error) {
	body, ok := strings.CutPrefix(text, backupHead)
	contents, err := base64.StdEncoding.DecodeString(body)
	if !ok || err != nil || backupText(contents) != text {
		return nil, errBackup
	}
	return contents, nil
}
