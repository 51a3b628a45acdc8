// Package ring keeps a Tink keyset together with the life of each of its keys: when it was made,
// promoted, retired and archived. Tink itself knows no times.
//
// The states of identities and of shared keysets are made of rings. Package keys reads and makes
// them; keys/keystore takes the steps by which a key moves on.
package ring
