// Package fault has the errors of e2e: what ends a session or one of its connections, why
// a handshake failed, what the other end refused. They are down here so that the parts
// of a session can return them; package e2e gives each of them its public name, and says
// for users what it means.
package fault
