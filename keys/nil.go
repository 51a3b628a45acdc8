package keys

import "fmt"

// errNil is for an argument of that type that is nil, or a zero value that this package did not
// make.
func errNil(what string) error { return fmt.Errorf("keys: no %s was given: it is nil or empty", what) }

func (id *Identity) empty() bool      { return id == nil || id.state.Load() == nil }
func (p *PublicIdentity) empty() bool { return p == nil || p.raw == nil }
func (s *Succession) empty() bool     { return s == nil || s.raw == nil }
