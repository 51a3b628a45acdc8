//go:build !js

package acme

import (
	"net"
	"net/http"
	"strings"
)

// HTTPHandler answers an authority that checks by http-01 on port 80, and hands all other
// requests to next. If next is nil, they are redirected to https at the host that they
// asked for. After this call http-01 is the preferred check, unless Options.Challenge says
// otherwise.
func (m *Manager) HTTPHandler(next http.Handler) http.Handler {
	m.answers.set(func() { m.answers.servesHTTP = true })
	if next == nil {
		next = http.HandlerFunc(toHTTPS)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, httpFolder) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := withTimeout(r.Context(), handshakeTime, "the cache")
		defer cancel()
		m.answers.httpAnswer(w, r.WithContext(ctx))
	})
}

func toHTTPS(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "Use https.", http.StatusBadRequest)
		return
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
		if strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
	}
	where := r.URL.RequestURI()
	if !strings.HasPrefix(where, "/") { // with "GET http:.evil.example" the target would extend the host's name
		where = "/"
	}
	http.Redirect(w, r, "https://"+host+where, http.StatusFound)
}
