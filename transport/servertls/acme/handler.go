//go:build !js

package acme

import (
	"net"
	"net/http"
	"strings"
)

// HTTPHandler answers authorities that check by http-01 on port 80, and hands all other
// requests to next. Nil stands for a handler that sends browsers on to https, at the
// host that they asked for. From the call on, checks by http-01 are preferred, unless
// Options.Challenge says otherwise.
func (m *Manager) HTTPHandler(next http.Handler) http.Handler {
	m.answers.set(func() { m.answers.byHTTP = true })
	if next == nil {
		next = http.HandlerFunc(toHTTPS)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, httpFolder) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := within(r.Context(), handshakeTime, "the cache")
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
	if !strings.HasPrefix(where, "/") { // "GET http:.evil.example" would go on with the host's name
		where = "/"
	}
	http.Redirect(w, r, "https://"+host+where, http.StatusFound)
}
