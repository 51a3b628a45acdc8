//go:build !js

package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// advice says what to do about errors that do not say it themselves.
var advice = []struct {
	err  error
	text string
}{
	{keystore.ErrStage, "'hopseal key show' tells the stages: a pending key is promoted, a retiring one disabled, an archived one destroyed"},
	{keys.ErrRevoked, "make a new identity with 'hopseal key new'"},
	{keys.ErrDetached, "the key is kept outside of the store, where this command does not reach"},
	{keystore.ErrSharedHistory, "let one holder rotate it, 'hopseal key rotate -follow NAME' everywhere else, and import in the order of the exports"},
	{keystore.ErrNoAnswer, "'hopseal key show' tells what is there"},
	{keystore.ErrOtherPolicy, "leave -age, -lead, -overlap, -keep and -follow out: it takes the steps that are due by its own"},
	{fs.ErrPermission, "check who owns the file and its folder"},
}

// explain turns an error into the text for a person: without the names of the
// packages that it comes from, with what to do next.
func explain(err error) string {
	text := ": " + err.Error()
	for _, name := range []string{": keys: ", ": envelope: "} {
		text = strings.ReplaceAll(text, name, ": ")
	}
	text = strings.TrimPrefix(text, ": ")
	for _, a := range advice {
		if errors.Is(err, a.err) {
			text += ": " + a.text
		}
	}
	return strings.ReplaceAll(text, "\n", "; ")
}
