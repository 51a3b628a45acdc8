//go:build !js

// Package servertls keeps the TLS of a Go server up to date: certificates, the
// authorities of clients, and the keys of session tickets, from files that change
// while it runs.
//
//	w, err := servertls.Watch(servertls.Options{
//		Pairs: []servertls.Pair{{Cert: "/etc/tls/tls.crt", Key: "/etc/tls/tls.key"}},
//	})
//	server := &http.Server{Addr: ":443", Handler: handler, TLSConfig: w.TLSConfig()}
//	err = server.ListenAndServeTLS("", "")
//
// # How files change
//
// The files may change in any way: certbot renews a link, Kubernetes swaps the ..data
// link of a mounted secret, an editor renames a file, a program writes over the old
// contents. The Watcher reads the files every ten seconds. When it sees a change, it
// reads them again a second later, and uses the new contents if both reads agree: so it
// never uses a file that is half written. A program that knows when the files are
// complete calls Reload, on SIGHUP for example.
//
// New connections use the new contents. Open connections keep what they began with
// until they end; the Watcher cuts none. A handshake sees either all of the old
// contents or all of the new ones.
//
// The Watcher refuses a pair if the key is not the certificate's, if a file ends within
// a PEM block, if the certificate has expired or is not valid yet, if it is not for
// servers or not for the names that Pair.Names lists, or if its file lacks the
// intermediate certificate that the previous file had. The old pair then stays in use,
// and an [Event] says so. Each pair stands alone: a bad pair does not stop the renewal
// of another. Watch itself refuses to start with a bad pair.
//
// # How certificates end
//
// Watcher.Expiries returns what a gauge shows: for each name and kind of key, when the
// certificate that the server would show now expires. An [Event] warns 30, 7 and 1 days
// before a certificate expires, and when it expires.
//
// # What clients get
//
// The server speaks TLS 1.2 or 1.3, with AEADs and forward secrecy only. It offers
// http/1.1, which WebSockets need; see Options.HTTP2 for when it may offer h2 too. A
// reverse proxy in front may use h2 to this server if it passes upgrades on by http/1.1,
// as httputil.ReverseProxy does.
//
// # Session tickets
//
// A ticket lets a client that returns connect faster. Only a server with the same
// ticket keys can read it, so the nodes behind a load balancer have to share them:
// give all nodes the same 32 random bytes, as Options.TicketSecret or in a file. Each
// node derives the keys of each period (12 hours) from them, so all nodes change keys
// together without talking to each other. Their clocks may differ by a period. To
// change the secret itself, add the new one to the end of every node's file, then move
// it to the front in every file, then remove the old one.
//
// Whoever has the secret can impersonate the server to clients that return, as with
// the certificate's key: protect it as carefully. It does not open recorded sessions,
// because clients without TLS 1.3 get no tickets under a shared secret.
//
// A ticket carries the client's certificate. The server verifies it again when the
// client returns, so nobody resumes with a certificate of an authority that was removed
// from Options.ClientCAs.
package servertls
