package keystore

import (
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

func noIdentity(id *keys.Identity) bool        { return id == nil || id.Public() == nil }
func noPublic(p *keys.PublicIdentity) bool     { return p == nil || p.Bytes() == nil }
func noSharedKeyset(s *keys.SharedKeyset) bool { return s == nil || s.Primary() == nil }
func noSuccession(s *trust.Succession) bool    { return s == nil || s.Bytes() == nil }
