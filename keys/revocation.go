package keys

import "time"

// Revocation returns the statement by which keystore.Store.Revoke would withdraw the
// identity, without withdrawing it. Kept apart from the identity, offline, it can
// still be handed to everybody on the day that the identity is lost. Whoever has it
// can withdraw the identity.
func (id *Identity) Revocation() (*PublicIdentity, error) {
	after, err := id.state.Load().revoked(time.Now())
	if err != nil {
		return nil, err
	}
	return after.public, nil
}
