// Package upkeep keeps what the ends of open sessions know of each other up to date. A [Follower]
// has peers rechecked when a Verifier tells of a change, a [Pace] says how often an application is
// asked for credentials, and a [Reminder] logs that an end's own identity is about to expire.
//
// It knows no session: a [Followed] is what a session has here.
package upkeep
