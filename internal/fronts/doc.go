// Package fronts runs the programs that services are put behind and that clients go
// through, for tests: nginx and HAProxy with the configurations of docs/deploy.md,
// squid, tinyproxy and dante. It kills, reloads and stops them, and puts somebody in
// their place who answers what they would not.
//
// Everything listens on loopback, on ports of its own, with its files in a directory of
// its own.
package fronts
