// Package redial keeps a link: it dials again after a dial failed or a connection
// ended, with a back-off that spreads the clients of a server that has just come back.
//
// [Policy.Dial] makes one connection, however many dials that takes. A [Redialer] makes
// the next one each time that the last has ended. [ActionFor] is the table of what
// follows from which error.
//
// A session of package e2e does all of this itself, by the Policy in its Config.
package redial
