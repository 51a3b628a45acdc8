// Package vaulttest proves key stores against a key management service that is
// reached over a network: HashiCorp Vault's transit engine, through Tink's client
// for it. It is a module of its own, since Vault's client has a large graph.
package vaulttest
