//go:build js

package xwing

// The browser build's keys are the composed ones.
type (
	PrivateKey = composedPrivate
	PublicKey  = composedPublic
)

func NewPrivateKey(seed []byte) (*PrivateKey, error) { return newComposedPrivate(seed) }

func NewPublicKey(public []byte) (*PublicKey, error) { return newComposedPublic(public) }
