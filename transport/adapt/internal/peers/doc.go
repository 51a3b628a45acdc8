// Package peers tests the adapters of package adapt with the libraries that they are
// for. It is a module of its own, so that these stay out of the SDK's dependencies.
package peers
