// Package vaulttest tests key stores with a key management service over a network: HashiCorp Vault's
// transit engine, through Tink's client for it. It is a module of its own, since Vault's client needs
// many other modules.
package vaulttest
