//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hopseal/hopseal/transport"
)

// envToken names the variable with a bearer token for the server. It is no flag, since everybody on
// the machine can read a command line.
const envToken = "HOPSEAL_TOKEN"

// dialFlags say how to reach a server.
type dialFlags struct {
	roots, cert, key, proxy, network string
	headers, subprotocols            listFlag
	insecure                         bool
	keyLog                           string
	log                              *os.File // the open keyLog, nil for none
}

func (f *dialFlags) add(c *call) {
	c.StringVar(&f.roots, "roots", "", "trust the CA certificates in this PEM `file`, beside the system's, of the server and of an https proxy")
	c.StringVar(&f.cert, "cert", "", "show the client certificate in this PEM `file`")
	c.StringVar(&f.key, "key", "", "the PEM `file` with its key")
	c.StringVar(&f.proxy, "proxy", "", "use the proxy at this `URL`, or none for \"direct\", instead of what the environment says")
	c.StringVar(&f.network, "network", "", "tcp4 or tcp6 for one kind of addresses only")
	c.Var(&f.headers, "header", "send this `Name: value` in the handshake; may be repeated. Put a bearer token into "+envToken)
	c.BoolVar(&f.insecure, "insecure-skip-tls-verify", false, "accept any certificate: everybody on the way may be the server")
	c.StringVar(&f.keyLog, "insecure-key-log", "", "append the secrets of TLS to this `file`, for Wireshark: a new one, or a key log of mode 0600")
}

type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, ", ") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

// close closes the key log, if there is one.
func (f *dialFlags) close() error {
	if f.log == nil {
		return nil
	}
	return f.log.Close()
}

// options returns the options that the flags set. The caller calls close when it no longer uses them.
func (f *dialFlags) options(c *call) (*transport.DialOptions, error) {
	opts := &transport.DialOptions{
		Network: f.network, Subprotocols: f.subprotocols, BearerToken: c.getenv(envToken), Header: make(http.Header),
		TLS: &transport.TLSOptions{CertFile: f.cert, KeyFile: f.key, SystemRoots: true, InsecureSkipTLSVerify: f.insecure},
	}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, c.wrong("-header wants 'Name: value'")
		}
		opts.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	var err error
	if opts.Proxy, err = f.proxyFunc(); err != nil {
		return nil, c.wrong(err.Error())
	}
	if f.roots != "" {
		if opts.TLS.RootsPEM, err = os.ReadFile(f.roots); err != nil {
			return nil, fmt.Errorf("-roots: %w", err)
		}
	}
	// An https proxy has a certificate too. This end does not show its own to the proxy.
	opts.ProxyTLS = &transport.TLSOptions{RootsPEM: opts.TLS.RootsPEM, SystemRoots: true, InsecureSkipTLSVerify: f.insecure}
	if f.keyLog != "" {
		if f.log, err = openKeyLog(f.keyLog); err != nil {
			return nil, fmt.Errorf("-insecure-key-log: %w", err)
		}
		opts.TLS.InsecureKeyLogWriter = f.log
	}
	return opts, nil
}

func (f *dialFlags) proxyFunc() (func(context.Context, *url.URL) (*url.URL, error), error) {
	if f.proxy == "" {
		return nil, nil
	}
	if f.proxy == "direct" {
		return func(context.Context, *url.URL) (*url.URL, error) { return nil, nil }, nil
	}
	proxy, err := url.Parse(f.proxy)
	if err != nil || proxy.Host == "" {
		return nil, errors.New("-proxy wants a URL such as http://proxy.example:3128, or direct") // the URL may hold a password
	}
	return func(context.Context, *url.URL) (*url.URL, error) { return proxy, nil }, nil
}
