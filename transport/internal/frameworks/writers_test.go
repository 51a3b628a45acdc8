package frameworks

import (
	"bufio"
	"net"
	"net/http"
)

// The writers below are what middleware puts around another.

func wrapped(h http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
}

type unwraps struct{ http.ResponseWriter }

func (u unwraps) Unwrap() http.ResponseWriter { return u.ResponseWriter }

type hijacks struct{ http.ResponseWriter }

func (h hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// A contrary writer makes of every status another one.
type contrary struct{ unwraps }

func (c contrary) WriteHeader(int) { c.unwraps.WriteHeader(http.StatusTeapot) }

// asserts is how much middleware was written before http.ResponseController.
type asserts struct{ http.ResponseWriter }

func (a asserts) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.ResponseWriter.(http.Hijacker).Hijack()
}

type hijacksNothing struct{ http.ResponseWriter }

func (hijacksNothing) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
