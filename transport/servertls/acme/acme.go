//go:build !js

// Package acme gets a server's certificates from an ACME authority (RFC 8555) such
// as Let's Encrypt: golang.org/x/crypto/acme/autocert, with the decisions made that
// must not be left open.
//
//	manager, err := acme.New(acme.Options{
//		Hosts:       []string{"chat.example.com"},
//		Cache:       autocert.DirCache("/var/lib/chat/certificates"),
//		AcceptTerms: true,
//	})
//	certs, err := servertls.Watch(servertls.Options{GetCertificate: manager.GetCertificate})
//	server := &http.Server{Addr: ":443", Handler: handler, TLSConfig: certs.TLSConfig()}
//	err = server.ListenAndServeTLS("", "")
//
// A certificate is asked for when the first client comes that wants it, which takes
// some seconds, and renewed a month before its end, or when two thirds of its life
// are over if that is later.
// The authority checks who has the name by connecting to port 443 (tls-alpn-01), or
// to port 80 where a server there has manager.HTTPHandler.
//
// Whoever can write to the cache can give the server another certificate, and
// whoever can read it has the keys: keep it as carefully. Nodes of one service
// share one, so that any of them can answer the authority.
package acme

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"
)

// Options says whom to ask and for what.
type Options struct {
	// Hosts lists the names that certificates are asked for, each in full:
	// an authority gives no wildcards this way. Strangers can ask a server for any
	// name, and authorities stop to answer whoever asks too often, so this, or
	// HostPolicy, is required.
	Hosts []string

	// HostPolicy decides instead where names change while the server runs. It is
	// called at each handshake, before the cache. It must allow nothing but names
	// that the service knows.
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

	// HTTPClient reaches the authority. Nil means http.DefaultClient.
	HTTPClient *http.Client
}

// New returns a manager whose GetCertificate is made for servertls.Options. It asks
// for nothing yet.
func New(opts Options) (*autocert.Manager, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	policy := opts.HostPolicy
	if policy == nil {
		policy = autocert.HostWhitelist(opts.Hosts...)
	}
	directory := opts.Directory
	if directory == "" {
		directory = autocert.DefaultACMEDirectory
	}
	return &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      opts.Cache,
		HostPolicy: policy,
		Email:      opts.Email,
		Client:     &xacme.Client{DirectoryURL: directory, HTTPClient: opts.HTTPClient, UserAgent: "hopseal"},
	}, nil
}

func (o *Options) check() error {
	switch {
	case (len(o.Hosts) == 0) == (o.HostPolicy == nil):
		return errors.New("acme: say which names certificates may be asked for: either list Hosts, or set HostPolicy")
	case o.Cache == nil:
		return errors.New("acme: there is no Cache: without one each restart asks for new certificates, until the authority refuses")
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

// checkHost refuses what autocert would pass over in silence.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return fmt.Errorf("acme: %q is an address: this needs a DNS name", host)
	}
	if strings.Contains(host, "*") {
		return fmt.Errorf("acme: %q is a wildcard: list each name", host)
	}
	if ascii, err := idna.Lookup.ToASCII(host); err != nil || !strings.Contains(strings.Trim(ascii, "."), ".") || strings.HasSuffix(ascii, ".") {
		return fmt.Errorf("acme: %q is not a full DNS name, such as chat.example.com", host)
	}
	return nil
}
