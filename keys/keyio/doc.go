// Package keyio takes keys in from other formats, and gives them out: public keys as PEM, DER and JWK,
// and keysets of Tink.
//
// Most programs print a public key for somebody who verifies signatures without Hopseal, or make keys
// of a keyset that they have with Tink:
//
//	text, err := keyio.MarshalPublicKeyPEM(me.Public().VerifyingKey().PublicKey())
//
//	set, err := keyio.ReadTinkKeyset(file, keyio.TinkJSON, kek, nil)
//	me, err := keyio.ImportIdentity("billing", set, nil)
//
// # What is protected
//
// Public keys are checked when they come in and when they go out: weak ones, and encodings that
// nobody else writes, are refused with [keys.ErrPublicKey]. Of Tink's keysets everything is refused
// that Hopseal does not use, with a [*TinkKeysetError] that says which key and why. A keyset leaves
// in the clear only by [TinkKeyset.Cleartext], which takes an insecurecleartext.Token.
//
// # The rest
//
// Hopseal's own formats do not need this package: see the methods Bytes and MarshalCleartext of what
// package keys has. Browsers do not need it either, and it would bring Tink into them.
package keyio
