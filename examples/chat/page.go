//go:build !js

package main

import (
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

const relayPath = "/relay"

//go:embed page
var pageFiles embed.FS

// policy lets the page load what comes from here and nothing else, compile its
// WebAssembly, and run no script that stands in the markup: a message that slipped
// into the page as HTML would still not run.
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// newHandler serves the relay, the page and the npm package in npmDir.
func newHandler(hub http.Handler, npmDir string) http.Handler {
	page, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+relayPath, hub)
	mux.Handle("GET /hopseal/", http.StripPrefix("/hopseal/", onlyPackage(http.FileServer(http.Dir(npmDir)))))
	mux.Handle("GET /", http.FileServerFS(page))
	return withPolicy(mux)
}

// contentTypes are given here, since the machine's own table may lack them or be
// wrong, and a browser runs no module of another type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".wasm": "application/wasm",
}

func withPolicy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// onlyPackage serves the files that a page needs of the package, and no listing.
func onlyPackage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ext := path.Ext(r.URL.Path)
		if ext != ".js" && ext != ".wasm" {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func init() {
	for ext, kind := range contentTypes {
		if err := mime.AddExtensionType(ext, kind); err != nil {
			panic(err)
		}
	}
}
