//go:build !js

package transport

import (
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

// proxyOfEnvironment returns the proxy that the environment names for a target, nil for none, or
// what is wrong there. It shows no part of a URL, which may hold a password.
func proxyOfEnvironment(target *url.URL) (proxy *url.URL, problem string) {
	named := httpproxy.FromEnvironment()
	named.HTTPProxy, named.HTTPSProxy = readable(named.HTTPProxy), readable(named.HTTPSProxy)
	asked := &url.URL{Scheme: "http", Host: target.Host}
	if target.Scheme == "wss" {
		asked.Scheme = "https"
	}
	proxy, err := named.ProxyFunc()(asked)
	switch {
	case err != nil: // the only error that is left
		return nil, "HTTP_PROXY is not used in a CGI program, where a client can set it by a header: set DialOptions.Proxy"
	case proxy != nil && proxy.Host == unreadable:
		return nil, "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names is no URL such as http://proxy.example:3128: " + encodePassword
	}
	return proxy, ""
}

// unreadable replaces a proxy whose URL cannot be parsed. Otherwise the library would ignore that
// proxy, and the dial would bypass it.
const unreadable = "unreadable.invalid"

// readable returns the URL of a proxy if the library can read it, with or without a scheme. If it
// is empty, ALL_PROXY counts for both schemes, as for curl, wget and git.
func readable(proxy string) string {
	if proxy == "" {
		proxy = allProxy()
	}
	for _, s := range []string{proxy, "http://" + proxy} {
		if _, err := url.Parse(s); err == nil {
			return proxy
		}
	}
	return "http://" + unreadable
}

func allProxy() string {
	if all := os.Getenv("ALL_PROXY"); all != "" {
		return all
	}
	return os.Getenv("all_proxy")
}
