//go:build !js

// Package acme gets a server's certificates from an ACME authority (RFC 8555) such as Let's
// Encrypt, with the protocol of golang.org/x/crypto/acme. Most programs need [New] and
// [Manager.GetCertificate]:
//
//	manager, err := acme.New(acme.Options{
//		Hosts:       []string{"chat.example.com"},
//		Cache:       autocert.DirCache("/var/lib/chat/certificates"),
//		AcceptTerms: true,
//	})
//	certs, err := servertls.Watch(servertls.Options{
//		GetCertificate: manager.GetCertificate, Certificates: manager.Certificates,
//	})
//	server := &http.Server{Addr: ":443", Handler: handler, TLSConfig: certs.TLSConfig()}
//	go manager.Warm(ctx)
//	err = server.ListenAndServeTLS("", "")
//
// # When it orders
//
// The manager orders a certificate when the first client asks for it, which takes some
// seconds, or earlier if Warm is called. It renews a certificate about a month before the
// end, or after two thirds of its life if that is later, and keeps the key. It makes one
// order for a name at a time. A handshake waits ten seconds for an order; if the
// certificate is known it does not wait. After a failed order, handshakes fail with the
// cause until the next try. That comes after seconds if the failure did not count towards
// the authority's limits, after minutes if it did, and not before the authority's
// Retry-After.
//
// Certificates have ECDSA keys. The manager also orders one with an RSA key for a name as
// soon as a client, or a stranger who pretends to be one, says that it does not know ECDSA.
//
// The authority checks who controls the name by connecting to port 443 (tls-alpn-01), or to
// port 80 if a server there serves manager.HTTPHandler (http-01).
//
// # The cache
//
// Whoever can write to the cache can give the server another certificate, and whoever can
// read it has the private keys: protect it as you protect those. Its entries are those of
// autocert, and this package takes over autocert's caches.
//
// Nodes of one service share one cache, so that any of them can answer the authority. One
// node orders and the others wait for its certificate: an entry whose name ends in +lease
// says which node it is. If that node ends without releasing the lease, the others wait for
// 15 seconds.
//
// The manager orders nothing while the cache cannot be written: an order counts towards the
// authority's limits even if its result is lost at the next restart. If a certificate was
// issued and cannot be written, the manager serves it and writes it later.
package acme

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"

	"github.com/hopseal/hopseal/transport/servertls"
)

// Options says whom to ask and for what.
type Options struct {
	// Hosts lists the names that may get a certificate, each in full: an authority issues
	// no wildcards this way. Strangers can ask a server for any name, and authorities stop
	// answering a server that asks too often, so this, or HostPolicy, is required.
	Hosts []string

	// HostPolicy decides instead of Hosts where names change while the server runs. The
	// manager calls it at each handshake, before it reads the cache, and waits ten seconds
	// for it. It must allow only names that the service knows. An error that wraps
	// servertls.ErrUnknownName tells the client that the name is wrong; after any other
	// error the client may try again.
	HostPolicy autocert.HostPolicy

	// Cache keeps certificates, keys and the account. It is required: without it each
	// restart asks for new certificates, until the authority refuses.
	Cache autocert.Cache

	// AcceptTerms says that you agree to the authority's terms of service. It is required.
	AcceptTerms bool

	// Email is an address that the authority may write to about problems. It may be empty.
	Email string

	// Directory is the authority's https URL. Empty means Let's Encrypt's.
	Directory string

	// HTTPClient reaches the authority. For a private authority its transport needs the
	// authority's root in TLSClientConfig.RootCAs. A Timeout of zero means 30 seconds for
	// each request. Nil means a client with http.DefaultTransport and that timeout.
	HTTPClient *http.Client

	// ExternalAccountBinding binds the account to a customer of the authority (RFC 8555,
	// section 7.3.4). Nil means that the authority needs no such binding.
	ExternalAccountBinding *xacme.ExternalAccountBinding

	// Challenge is the only kind of check that the manager asks for: "tls-alpn-01" or
	// "http-01". If it is empty and HTTPHandler was called, the manager tries http-01
	// first, then tls-alpn-01, and later begins with the one that worked. If it is empty
	// without HTTPHandler, only tls-alpn-01 is tried. Set it to "http-01" where port 443 of
	// the name leads to a front that terminates TLS.
	Challenge string

	// Notify gets an event for each order and for each write to the cache that failed, one
	// after the other. The manager does not wait for it: if it is slow, 16 events wait, and
	// older ones are dropped and counted (Event.Missed). Nil means no events.
	Notify func(servertls.Event)

	// Logger gets the same events, with level Error where somebody has to act now. Nil
	// means slog.Default().
	Logger *slog.Logger
}

// withDefaults returns a copy in which defaults are filled in.
func (o Options) withDefaults() Options {
	o.Hosts = slices.Clone(o.Hosts)
	if o.Directory == "" {
		o.Directory = autocert.DefaultACMEDirectory
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o *Options) check() error {
	switch {
	case (len(o.Hosts) == 0) == (o.HostPolicy == nil):
		return errors.New("acme: say which names certificates may be asked for: either list Hosts, or set HostPolicy")
	case o.Cache == nil:
		return errors.New("acme: there is no Cache: without one each restart asks for new certificates, until the authority refuses")
	case o.Challenge != "" && o.Challenge != http01 && o.Challenge != tlsALPN01:
		return fmt.Errorf("acme: Challenge is %q: it has to be %q, %q or empty", o.Challenge, tlsALPN01, http01)
	case !o.AcceptTerms:
		return errors.New("acme: authorities want their terms of service accepted: read them and set AcceptTerms")
	}
	for _, host := range o.Hosts {
		if err := checkHost(host); err != nil {
			return err
		}
	}
	if u, err := url.Parse(o.Directory); o.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return errors.New("acme: Directory is not an https URL")
	}
	return nil
}

// names accepts the names of RFC 5891 that fit into DNS, without empty labels.
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// fullName returns a name in ASCII and lower case. It is not ok if the name has fewer than
// two labels.
func fullName(name string) (ascii string, ok bool) {
	ascii, err := names.ToASCII(name)
	return ascii, err == nil && strings.Contains(ascii, ".") && !strings.HasSuffix(ascii, ".")
}

// checkHost refuses the hosts that autocert silently ignores.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return fmt.Errorf("acme: %q is an address: this needs a DNS name", host)
	}
	if strings.Contains(host, "*") {
		return fmt.Errorf("acme: %q is a wildcard: list each name", host)
	}
	if _, ok := fullName(host); !ok {
		return fmt.Errorf("acme: %q is not a full DNS name, such as chat.example.com", host)
	}
	return nil
}
