package keys

import "time"

// Revocation returns the statement by which keystore.Store.Revoke would withdraw the identity. It
// does not withdraw it. Keep the statement offline, apart from the identity: you can still hand it to
// everybody on the day that the identity is lost. Whoever has it can withdraw the identity.
func (id *Identity) Revocation() (*PublicIdentity, error) {
	after, err := id.state.Load().revoked(time.Now())
	if err != nil {
		return nil, err
	}
	return after.public, nil
}
