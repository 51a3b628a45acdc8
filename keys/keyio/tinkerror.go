package keyio

import (
	"fmt"
)

// A TinkReason says why a Tink keyset was refused.
type TinkReason byte

const (
	TinkUnreadable  TinkReason = iota + 1 // not a keyset in this format, or not a whole one
	TinkLocked                            // the key that should open it does not, or not with this associated data
	TinkType                              // a key type that Hopseal does not use, or not for this purpose
	TinkParameters                        // a key type that Hopseal uses, with other parameters or a damaged key
	TinkDuplicateID                       // two keys have one id, and a prefix would name both (A23)
	TinkAmbiguous                         // a key without a prefix among others: more than one could match (A22)
	TinkPrefix                            // a prefix that Hopseal does not use
	TinkRepeatedKey                       // the keyset holds one key under two ids
	TinkTooMany                           // more keys than a keyset here holds
	TinkUnpaired                          // the AEAD and the HMAC keyset do not match key by key
	TinkPrimary                           // the primary key is disabled, destroyed or missing
	TinkSharedKey                         // two keysets with different purposes hold the same key
)

var tinkReasons = map[TinkReason]string{
	TinkUnreadable:  "it is not a whole Tink keyset in this format: check the format and the file",
	TinkLocked:      "the key does not open it: use the key and the associated data that it was encrypted with",
	TinkType:        "Hopseal does not use this key type here",
	TinkParameters:  "the key is damaged, or has other parameters than Hopseal uses",
	TinkDuplicateID: "two keys have one id: make a new keyset",
	TinkAmbiguous:   "a key without an output prefix must be the only one: more than one key could match a message",
	TinkPrefix:      "Hopseal takes the output prefixes TINK, CRUNCHY and, for a single key, RAW",
	TinkRepeatedKey: "the same key stands there under another id as well",
	TinkTooMany:     fmt.Sprintf("a keyset has at most %d keys: delete old ones first", maxImportedKeys),
	TinkUnpaired:    "the AEAD and the HMAC keyset must have as many keys, in the same order and states",
	TinkPrimary:     "the primary key is disabled, destroyed or missing: enable it, or make another one primary",
	TinkSharedKey:   "the same key stands in both keysets: a key has one purpose: make a new one for the other",
}

// A TinkKeysetError says why a Tink keyset was refused. It shows no key.
type TinkKeysetError struct {
	Reason TinkReason
	KeyID  uint32 // the key that the error is about, 0 for none
	detail string // safe to print
	err    error
}

func (e *TinkKeysetError) Error() string {
	s := "keys: Tink keyset not taken"
	if e.KeyID != 0 {
		s += fmt.Sprintf(" for key %d", e.KeyID)
	}
	if e.detail != "" {
		s += ": " + e.detail
	}
	return s + ": " + tinkReasons[e.Reason]
}

// Unwrap returns the error of the AEAD that did not open the keyset, if any.
func (e *TinkKeysetError) Unwrap() error { return e.err }

func tinkError(reason TinkReason, id uint32) error {
	return &TinkKeysetError{Reason: reason, KeyID: id}
}
