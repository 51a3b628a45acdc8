// Package pebbletest tries package acme against Pebble, Let's Encrypt's authority for
// tests, in one process and on loopback addresses only. It is a module of its own, so
// that nobody who uses Hopseal downloads Pebble.
package pebbletest
