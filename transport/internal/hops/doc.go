// Package hops finds out who made a request that came through load balancers and
// proxies: by the headers that those write, and by the PROXY header in front of a
// connection. Only the word of hops that are listed counts.
package hops
