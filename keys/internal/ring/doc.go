// Package ring keeps a Tink keyset together with the life of each of its keys: when it was made,
// promoted, retired and archived. Tink itself knows no times.
//
// Rings make up the states of identities and of shared keysets. Package keys reads and makes them;
// keys/keystore takes the steps that move a key on.
package ring
