// Package upkeep keeps the ends of open sessions up to date about each other. A [Follower]
// rechecks peers when a Verifier tells of a change, a [Pace] limits how often an application is
// asked for credentials, and a [Reminder] logs that an end's own identity is about to expire.
//
// It knows no session: a [Followed] stands for one.
package upkeep
