//go:build !js

package transport

import (
	"context"
	"net/url"
	"strings"
	"testing"
)

func TestA48ProxyAuthSendsNoPasswordInTheClear(t *testing.T) {
	for _, c := range []struct {
		proxy, answer string
		allow, ok     bool
	}{
		{"http://192.0.2.1", "Basic czNjcjN0", false, false},
		{"http://192.0.2.1", "bAsIc czNjcjN0", false, false},
		{"http://192.0.2.1", " Basic czNjcjN0", false, false},
		{"http://192.0.2.1", "\tBasic\tczNjcjN0", false, false},
		{"http://192.0.2.1", "Bearer czNjcjN0", false, false},
		{"http://192.0.2.1", "Basic czNjcjN0", true, true},
		{"http://192.0.2.1", "Negotiate czNjcjN0", false, true},
		{"https://192.0.2.1", "Basic czNjcjN0", false, true},
		{"http://127.0.0.1", "Basic czNjcjN0", false, true},
	} {
		proxy, _ := url.Parse(c.proxy)
		d := newDialer(&url.URL{Scheme: "wss", Host: "service.example"}, &DialOptions{InsecureProxyPassword: c.allow,
			ProxyAuth: func(context.Context, *url.URL, []string) (string, error) { return c.answer, nil }})
		d.proxy = proxy
		header, failed := (&proxyLogin{d: d}).header(t.Context())
		if (failed == nil) != c.ok || failed == nil && header != c.answer {
			t.Errorf("%+v: %q, %v", c, header, failed)
		}
		if failed != nil && strings.Contains(failed.Error(), "czNjcjN0") {
			t.Errorf("shown as %v", failed)
		}
	}
}
