package trust

import "github.com/hopseal/hopseal/keys"

// empty reports whether there is no identity.
func empty(p *keys.PublicIdentity) bool { return p == nil || p.Bytes() == nil }
