// Package hops finds out who made a request that came through load balancers and
// proxies. [Trace] reads the headers that these hops add to a request, and [Listen] reads
// the PROXY header that they send in front of a connection. Only what a listed hop says
// counts.
package hops
