// Package keyio reads keys in other formats, and writes them: public keys as PEM, DER and JWK, and
// keysets of Tink.
//
// Most programs print a public key for somebody who verifies signatures without Hopseal, or make an
// identity from a keyset that they have with Tink:
//
//	text, err := keyio.MarshalPublicKeyPEM(me.Public().VerifyingKey().PublicKey())
//
//	set, err := keyio.ReadTinkKeyset(file, keyio.TinkJSON, kek, nil)
//	me, err := keyio.ImportIdentity("billing", set, nil)
//
// # What is protected
//
// This package checks public keys when they come in and when they go out. It refuses weak ones, and
// encodings that nobody else writes, with [keys.ErrPublicKey]. In Tink's keysets it refuses
// everything that Hopseal does not use, with a [*TinkKeysetError] that says which key and why. Only
// [TinkKeyset.Cleartext] writes a keyset in the clear; it takes an insecurecleartext.Token.
//
// # The rest
//
// Hopseal's own formats do not need this package: the types of package keys have methods Bytes and
// MarshalCleartext. Browsers do not need it either, and it would bring Tink into them.
package keyio
