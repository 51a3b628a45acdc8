//go:build !js

package hops

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

var testHops = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func TestA49HeadersCountFromListedHopsOnly(t *testing.T) {
	type headers = map[string]string
	for name, c := range map[string]struct {
		peer   string
		tls    bool // on this socket
		sent   headers
		client string
		kind   string
		host   string
	}{
		"nobody says anything":         {"192.0.2.1:5", false, nil, "192.0.2.1", "ws", "app.example"},
		"TLS here":                     {"192.0.2.1:5", true, nil, "192.0.2.1", "wss", "app.example"},
		"a stranger claims all":        {"192.0.2.1:5", false, headers{"Forwarded": "for=1.1.1.1;proto=https;host=evil.example", "X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}, "192.0.2.1", "ws", "app.example"},
		"a stranger, by TLS":           {"192.0.2.1:5", true, headers{"X-Forwarded-Proto": "http"}, "192.0.2.1", "wss", "app.example"},
		"a stranger, malformed":        {"192.0.2.1:5", false, headers{"Forwarded": `for="`}, "192.0.2.1", "ws", "app.example"},
		"a hop's own request":          {"10.0.0.1:5", false, nil, "10.0.0.1", "ws", "app.example"},
		"one hop":                      {"10.0.0.1:5", false, headers{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example:8443"}, "192.0.2.7", "wss", "public.example:8443"},
		"one hop, mapped":              {"[::ffff:10.0.0.1]:5", false, headers{"X-Forwarded-For": "::ffff:192.0.2.7"}, "192.0.2.7", "ws", "app.example"},
		"one hop, with a port":         {"10.0.0.1:5", false, headers{"X-Forwarded-For": "192.0.2.7:1234"}, "192.0.2.7", "ws", "app.example"},
		"one hop, IPv6":                {"[fd00::1]:5", false, headers{"X-Forwarded-For": "[2001:db8::7]:1234"}, "2001:db8::7", "ws", "app.example"},
		"the client's claims before":   {"10.0.0.1:5", false, headers{"X-Forwarded-For": "10.9.9.9, 127.0.0.1, 192.0.2.7"}, "192.0.2.7", "ws", "app.example"},
		"its scheme and host before":   {"10.0.0.1:5", false, headers{"X-Forwarded-For": "9.9.9.9, 192.0.2.7", "X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "evil, public"}, "192.0.2.7", "ws", "public"},
		"two hops":                     {"10.0.0.1:5", false, headers{"X-Forwarded-For": "192.0.2.7, 10.0.0.2", "X-Forwarded-Proto": "https"}, "192.0.2.7", "wss", "app.example"},
		"two hops, the first in clear": {"10.0.0.1:5", false, headers{"X-Forwarded-For": "192.0.2.7, 10.0.0.2", "X-Forwarded-Proto": "http, https"}, "192.0.2.7", "ws", "app.example"},
		"clear outside, TLS inside":    {"10.0.0.1:5", true, headers{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}, "192.0.2.7", "ws", "app.example"},
		"TLS inside, nothing said":     {"10.0.0.1:5", true, headers{"X-Forwarded-For": "192.0.2.7"}, "192.0.2.7", "wss", "app.example"},
		"nonsense for a scheme":        {"10.0.0.1:5", true, headers{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "on"}, "192.0.2.7", "ws", "app.example"},
		"only hops":                    {"10.0.0.1:5", false, headers{"X-Forwarded-For": "10.0.0.3, 10.0.0.2"}, "10.0.0.3", "ws", "app.example"},
		"unknown":                      {"10.0.0.1:5", false, headers{"X-Forwarded-For": "192.0.2.7, unknown", "X-Forwarded-Proto": "https"}, "10.0.0.1", "wss", "app.example"},
		"only a scheme":                {"10.0.0.1:5", false, headers{"X-Forwarded-Proto": "https"}, "10.0.0.1", "wss", "app.example"},

		"RFC 7239":                   {"10.0.0.1:5", false, headers{"Forwarded": `For="[2001:db8:cafe::17]:4711" ; proto=HTTPS;host="public.example:8443";by=10.0.0.1`}, "2001:db8:cafe::17", "wss", "public.example:8443"},
		"RFC 7239, two hops":         {"10.0.0.1:5", false, headers{"Forwarded": `for=10.2.3.4;proto=http, for=192.0.2.7;proto=https, for=10.0.0.2;proto=http`}, "192.0.2.7", "wss", "app.example"},
		"RFC 7239, unsaid outside":   {"10.0.0.1:5", false, headers{"Forwarded": `for=192.0.2.7, for=10.0.0.2;proto=https`}, "192.0.2.7", "ws", "app.example"},
		"RFC 7239, hidden":           {"10.0.0.1:5", false, headers{"Forwarded": `for=1.1.1.1, for=_gazonk;proto=https`}, "10.0.0.1", "wss", "app.example"},
		"RFC 7239, escapes":          {"10.0.0.1:5", false, headers{"Forwarded": `for="192.0.2.\7";secret="a,b;c=\"d"`}, "192.0.2.7", "ws", "app.example"},
		"RFC 7239, bare brackets":    {"10.0.0.1:5", false, headers{"Forwarded": `for=[2001:db8::7]:80`}, "2001:db8::7", "ws", "app.example"},
		"both, and they agree":       {"10.0.0.1:5", false, headers{"Forwarded": "for=192.0.2.7;proto=https", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}, "192.0.2.7", "wss", "app.example"},
		"both, the client differs":   {"10.0.0.1:5", false, headers{"Forwarded": "for=1.1.1.1", "X-Forwarded-For": "192.0.2.7"}, "", "", ""},
		"both, the scheme differs":   {"10.0.0.1:5", false, headers{"Forwarded": "for=192.0.2.7;proto=https", "X-Forwarded-For": "192.0.2.7"}, "", "", ""},
		"both, the host differs":     {"10.0.0.1:5", false, headers{"Forwarded": "for=192.0.2.7;host=evil", "X-Forwarded-For": "192.0.2.7"}, "", "", ""},
		"an open quotation mark":     {"10.0.0.1:5", false, headers{"Forwarded": `for="1.1.1.1, for=192.0.2.7`}, "", "", ""},
		"a quotation mark that eats": {"10.0.0.1:5", false, headers{"Forwarded": `for=1.1.1.1;x=", for="192.0.2.7"`}, "", "", ""},
		"twice":                      {"10.0.0.1:5", false, headers{"Forwarded": `for=1.1.1.1;for=192.0.2.7`}, "", "", ""},
		"no pair":                    {"10.0.0.1:5", false, headers{"Forwarded": `192.0.2.7`}, "", "", ""},
		"empty":                      {"10.0.0.1:5", false, headers{"Forwarded": ``}, "", "", ""},
		"a trailing comma":           {"10.0.0.1:5", false, headers{"Forwarded": `for=192.0.2.7,`}, "", "", ""},
		"too long":                   {"10.0.0.1:5", false, headers{"X-Forwarded-For": strings.Repeat("1.1.1.1,", 600) + "192.0.2.7"}, "", "", ""},
		"too long a Forwarded":       {"10.0.0.1:5", false, headers{"Forwarded": strings.Repeat("for=1.1.1.1,", 400) + "for=192.0.2.7"}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://app.example/", nil)
			r.RemoteAddr = c.peer
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for k, v := range c.sent {
				r.Header.Set(k, v)
			}
			got, err := Trace(r, testHops)
			if c.client == "" {
				if err == nil {
					t.Fatalf("got %+v, want an error", got)
				}
				if addr := clientAddr(r); addr != "10.0.0.1" {
					t.Fatalf("the client is %s", addr)
				}
				return
			}
			if err != nil || got.Client.String() != c.client || got.Secure != (c.kind == "wss") || got.Host != c.host {
				t.Fatalf("got %+v, %v, want %+v", got, err, c)
			}
			if addr := clientAddr(r); addr != c.client {
				t.Fatalf("the client is %s", addr)
			}
			if direct, err := Trace(r, nil); err != nil || direct.Hop || direct.Client != Addr(c.peer) || direct.Host != "app.example" {
				t.Fatalf("without a list: %+v, %v", direct, err)
			}
		})
	}
}

// clientAddr is what transport.ClientAddr returns.
func clientAddr(r *http.Request) string {
	from, _ := Trace(r, testHops)
	return from.Address(r)
}

func TestALineForEachHop(t *testing.T) {
	r := httptest.NewRequest("GET", "http://app.example/", nil)
	r.RemoteAddr = "10.0.0.1:5"
	r.Header["Forwarded"] = []string{"for=1.1.1.1", "for=192.0.2.7", "for=10.0.0.2"}
	if got, err := Trace(r, testHops); err != nil || got.Client.String() != "192.0.2.7" {
		t.Errorf("got %+v, %v", got, err)
	}
	r.Header = http.Header{"X-Forwarded-For": {"1.1.1.1", "192.0.2.7", "10.0.0.2"}}
	if got, err := Trace(r, testHops); err != nil || got.Client.String() != "192.0.2.7" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAddressWithoutIP(t *testing.T) {
	r := httptest.NewRequest("GET", "http://app.example/", nil)
	r.RemoteAddr = "@\n"
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	if got := clientAddr(r); got != `@\n` {
		t.Errorf("got %q", got)
	}
}

// FuzzA49Forwarded looks for a text with which a client can hide what an honest hop
// writes after it in the same header.
func FuzzA49Forwarded(f *testing.F) {
	for _, seed := range []string{"", "for=1.1.1.1", `for="[2001:db8::1]:80";proto=https`, `for="a\"b`, `a=", for="`, ",", "for=_x;host=h:1", `x="\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claimed string) {
		r := httptest.NewRequest("GET", "http://app.example/", nil)
		r.RemoteAddr = "10.0.0.1:5"
		r.Header["Forwarded"] = []string{claimed + ", for=192.0.2.7;proto=http"}
		if got, err := Trace(r, testHops); err == nil && (got.Client.String() != "192.0.2.7" || got.Secure) {
			t.Fatalf("%q gives %+v", claimed, got)
		}
		r.Header = http.Header{"X-Forwarded-For": {claimed + ", 192.0.2.7"}}
		if got, err := Trace(r, testHops); err == nil && got.Client.String() != "192.0.2.7" {
			t.Fatalf("%q gives %+v", claimed, got)
		}
	})
}
