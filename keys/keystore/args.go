package keystore

import (
	"fmt"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// errNil is for an argument of that type that is nil, or a zero value that nobody made.
func errNil(what string) error { return fmt.Errorf("keys: no %s was given: it is nil or empty", what) }

func noIdentity(id *keys.Identity) bool        { return id == nil || id.Public() == nil }
func noPublic(p *keys.PublicIdentity) bool     { return p == nil || p.Bytes() == nil }
func noSharedKeyset(s *keys.SharedKeyset) bool { return s == nil || s.Primary() == nil }
func noSuccession(s *trust.Succession) bool    { return s == nil || s.Bytes() == nil }
