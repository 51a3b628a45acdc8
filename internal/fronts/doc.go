// Package fronts runs, for tests, the programs that stand in front of services and those
// that clients go through: nginx and HAProxy with the configurations of docs/deploy.md,
// and squid, tinyproxy and dante. It kills, reloads and pauses them, and puts impostors in
// their place, which give answers that they would not give.
//
// Each program listens on loopback, on a port of its own, with its files in a directory
// of its own.
package fronts
