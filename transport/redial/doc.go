// Package redial keeps a link: it dials again after a dial failed or a connection ended, with a
// back-off that spreads the clients of a server that has just come back.
//
// Most programs need two calls: [New] returns a [Redialer], and [Redialer.Next] returns the next
// connection each time that the last one has ended. [Policy.Dial] makes a single connection, with
// as many dials as that takes. [ActionFor] is the table of errors and what follows from them.
//
// A session of package e2e does all of this by itself, with the Policy in its Config.
package redial
