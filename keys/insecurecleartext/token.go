// Package insecurecleartext holds the token that cleartext key export asks for.
//
// A program that moves secret keys in the clear has to import this package, so
// that a search for its path finds every such place. The idea is Tink's
// insecuresecretdataaccess.
package insecurecleartext

// Token says that the caller means to handle secret key bytes itself.
type Token struct{}
