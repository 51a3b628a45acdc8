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
// All ways are fine: certbot renews a link, Kubernetes swaps the ..data link of a
// mounted secret, an editor renames, something writes over the old. The files are
// read every ten seconds and taken when two looks in a row found the same, the
// second a second after the first, so that what is half-written is not. A program
// that knows better calls Reload, on SIGHUP for example.
//
// New contents are for new connections. Those that there are go on with what they
// began with, until they end; nothing is ever cut. A handshake sees the old or the
// new, never both or neither.
//
// A pair is refused if the key is not the certificate's, if a file ends within a
// PEM block, if the certificate has expired or is not valid yet, if it is not for
// servers or not for the names that Pair.Names lists, or if its file lacks the
// intermediate certificate that the one before it had. The old one then stays, and an
// [Event] tells so. Each pair is by itself: one that is bad does not keep another
// from being renewed. Watch itself refuses to start with a bad one.
//
// # How certificates end
//
// Watcher.Expiries is what a gauge shows: the end of what would be shown now, for each
// name and kind of key. 30, 7 and 1 days before the end of a certificate, and at the
// end, an [Event] tells so.
//
// # What clients get
//
// TLS 1.2 at least, AEADs and forward secrecy only. The protocol is http/1.1, which
// WebSockets need; Options.HTTP2 says when h2 may be offered too. A front may
// fetch from this server by h2 as long as it passes upgrades on by http/1.1, as
// httputil.ReverseProxy does.
//
// # Session tickets
//
// A client that comes back is faster with a ticket, which only a server with the
// same ticket keys can read. Behind a load balancer the nodes have to share them:
// give all the same 32 random bytes, as Options.TicketSecret or in a file. The keys
// are derived from it for each period (12 hours), so the nodes change them together
// without talking to each other; their clocks may differ by a period. To change the
// secret itself, add the new one to the end of every node's file, then move it to
// the front everywhere, then take the old one out.
//
// Whoever has the secret can take the place of the server towards clients that come
// back, as with the certificate's key: keep it as carefully. Recorded sessions stay
// safe from it, since clients without TLS 1.3 get no tickets under a shared secret.
//
// A ticket carries the client's certificate. It is verified anew when the client
// comes back, so an authority that was taken out of Options.ClientCAs lets nobody
// resume.
package servertls
