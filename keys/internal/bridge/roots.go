package bridge

// Roots are the functions for the root keys of identities.
type Roots[I any] struct {
	Attached func(id I) bool                            // whether the private key is here
	Sign     func(id I, message []byte) ([]byte, error) // with the root; the message begins with a label
}
