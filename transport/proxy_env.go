//go:build !js

package transport

import (
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

// proxyOfEnvironment returns the proxy that the environment names for a target, nil for
// none, or what is wrong there. No part of a URL is shown: it may hold a password.
func proxyOfEnvironment(target *url.URL) (proxy *url.URL, problem string) {
	named := httpproxy.FromEnvironment()
	named.HTTPProxy, named.HTTPSProxy = readable(named.HTTPProxy), readable(named.HTTPSProxy)
	asked := &url.URL{Scheme: "http", Host: target.Host}
	if target.Scheme == "wss" {
		asked.Scheme = "https"
	}
	proxy, err := named.ProxyFunc()(asked)
	switch {
	case err != nil: // of all that may be wrong this is what is left
		return nil, "HTTP_PROXY is not used in a CGI program, where a client can set it by a header: set DialOptions.Proxy"
	case proxy != nil && proxy.Host == unreadable:
		return nil, "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names is no URL such as http://proxy.example:3128: " + encodePassword
	}
	return proxy, ""
}

// unreadable stands for a proxy whose URL is none. The library goes on without that proxy,
// and would send past it what has to go through it.
const unreadable = "unreadable.invalid"

// readable returns the URL of a proxy as the library reads it, with or without a scheme.
// Where there is none, ALL_PROXY is for both, as for curl, wget and git.
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
