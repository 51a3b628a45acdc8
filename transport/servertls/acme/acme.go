//go:build !js

// Package acme gets a server's certificates from an ACME authority (RFC 8555) such
// as Let's Encrypt, with the protocol of golang.org/x/crypto/acme.
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
// A certificate is ordered when the first client comes that wants it, which takes some
// seconds, or before that by Warm. It is renewed about a month before its end, or when
// two thirds of its life are over if that is later, with the same key. One order for a name
// is under way at a time. A handshake waits ten seconds for it; one for a certificate
// that is known waits for nobody. After a failure handshakes fail with its cause until the
// next try, which comes after seconds if the failure cost no order, after minutes if it
// did, and not before the authority's Retry-After.
//
// Certificates are for ECDSA keys. The first client of a name that does not know those, or
// a stranger who says so, makes it order one for an RSA key too.
//
// The authority checks who has the name by connecting to port 443 (tls-alpn-01), or
// to port 80 where a server there has manager.HTTPHandler.
//
// # The cache
//
// Whoever can write to the cache can give the server another certificate, and
// whoever can read it has the keys: keep it as carefully. Its entries are those of
// autocert, whose caches this package takes over.
//
// Nodes of one service share one, so that any of them can answer the authority, and so
// that one of them orders while the others wait for what it gets: an entry with the
// ending +lease says which. A node that has ended without a word is waited for a quarter
// of a minute.
//
// As long as the cache cannot be written nothing is ordered, since an order whose result
// is lost at the next restart counts towards the authority's limits all the same. A
// certificate that was issued and could not be written is shown, and written later.
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
	// Hosts lists the names that certificates are asked for, each in full:
	// an authority gives no wildcards this way. Strangers can ask a server for any
	// name, and authorities stop to answer whoever asks too often, so this, or
	// HostPolicy, is required.
	Hosts []string

	// HostPolicy decides instead where names change while the server runs. It is
	// called at each handshake, before the cache, and has ten seconds. It must allow
	// nothing but names that the service knows. An error that wraps
	// servertls.ErrUnknownName tells the client that the name is wrong; after another
	// one it may try again.
	HostPolicy autocert.HostPolicy

	// Cache keeps certificates, keys and the account. It is required: without it
	// each restart asks for everything again, until the authority refuses.
	Cache autocert.Cache

	// AcceptTerms says that you agree to the authority's terms of service. It is
	// required.
	AcceptTerms bool

	// Email is told to the authority, which may write about problems. It may be
	// empty.
	Email string

	// Directory is the authority's https URL. Empty means Let's Encrypt's.
	Directory string

	// HTTPClient reaches the authority. A private authority needs one whose transport
	// has its root in TLSClientConfig.RootCAs. A Timeout of zero means 30 seconds for
	// each request. Nil means such a client with http.DefaultTransport.
	HTTPClient *http.Client

	// ExternalAccountBinding is what an authority gives its customers to bind an
	// account to them (RFC 8555, section 7.3.4). Nil means that none is asked for.
	ExternalAccountBinding *xacme.ExternalAccountBinding

	// Challenge is the only kind of check that the authority is asked to make:
	// "tls-alpn-01" or "http-01". Empty means http-01 first once HTTPHandler was
	// called, then tls-alpn-01, and the one that worked first from then on; without
	// HTTPHandler only tls-alpn-01. Set it to "http-01" where port 443 of the name
	// leads to a front that terminates TLS.
	Challenge string

	// Notify is told of orders and of writes to the cache that failed, one event after
	// the other. Nobody waits for it: where it is slow, 16 events wait, and older ones
	// are left out and counted (Event.Missed). Nil means that nobody is told.
	Notify func(servertls.Event)

	// Logger gets the same, where the level is Error for what needs somebody to act
	// now. Nil means slog.Default().
	Logger *slog.Logger
}

// withDefaults returns a copy.
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

// names are those of RFC 5891 that DNS has room for, without empty labels.
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// fullName returns a name in ASCII and small letters, if it is one of several labels.
func fullName(name string) (ascii string, ok bool) {
	ascii, err := names.ToASCII(name)
	return ascii, err == nil && strings.Contains(ascii, ".") && !strings.HasSuffix(ascii, ".")
}

// checkHost refuses what autocert would pass over in silence.
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
