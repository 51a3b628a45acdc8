//go:build !js

package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
)

// errNoName is for a name that has no ASCII form.
var errNoName = errors.New("no name")

// punycode returns the ASCII form of an internationalized name (RFC 5891). The
// standard library has it inside net/http only, which dials it.
func punycode(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return asDialled(name)
		}
	}
	return name, nil
}

func asDialled(name string) (ascii string, err error) {
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		ascii, _, err = net.SplitHostPort(addr)
		return nil, errNoName
	}}
	t.RoundTrip(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: name}, Header: http.Header{}})
	if err != nil || ascii == "" {
		return "", errNoName
	}
	return ascii, nil
}
