//go:build unix

package transport_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// A page of a foreign name, which leads here, would be of this server's own origin.
func TestA43ReboundNamesAreRefused(t *testing.T) {
	type options = transport.AcceptOptions
	const evil, app = "Host: evil.example:8090\r\n", "Host: app.example.com\r\n"
	const page = evil + "Origin: http://evil.example:8090\r\n"
	const remote, near, https = "X-Forwarded-For: 192.0.2.7\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: https\r\n"
	sealed, behind := options{Sealed: true}, options{Sealed: true, TrustedHops: onThisMachine}
	named := func(names ...string) options { return options{Sealed: true, TrustedHops: onThisMachine, Hosts: names} }
	for name, c := range map[string]struct {
		opts    options
		headers string
		advice  string // "" where it is accepted
	}{
		"a rebound page":              {sealed, page, "list the name in AcceptOptions.Hosts, or dial localhost"},
		"no page":                     {sealed, evil, "TrustedHops"},
		"the address":                 {sealed, "", ""},
		"localhost":                   {sealed, "Host: localhost:8090\r\n", ""},
		"in capitals, with a dot":     {sealed, "Host: LocalHost.\r\n", ""},
		"below localhost":             {sealed, "Host: chat.localhost:1\r\n", ""},
		"another loopback address":    {sealed, "Host: 127.8.9.1\r\n", ""},
		"IPv6":                        {sealed, "Host: [::1]:80\r\n", ""},
		"IPv4 in IPv6":                {sealed, "Host: [::ffff:127.0.0.1]\r\n", ""},
		"a name that begins so":       {sealed, "Host: localhost.evil.example\r\n", "evil.example"},
		"a name that ends so":         {sealed, "Host: evillocalhost\r\n", "evillocalhost"},
		"an address in a name":        {sealed, "Host: 127.0.0.1.evil.example\r\n", "evil.example"},
		"another machine's address":   {sealed, "Host: 192.0.2.1\r\n", "192.0.2.1"},
		"no name":                     {sealed, "Host: \r\n", `""`},
		"a stranger forwards":         {sealed, app + remote + https, "list it in TrustedHops"},
		"a hop, and no header":        {behind, page, "AcceptOptions.Hosts"},
		"a hop, for another machine":  {behind, app + remote, ""},
		"a hop, over TLS":             {behind, app + near + https, ""},
		"a hop, from here":            {behind, app + near, "AcceptOptions.Hosts"},
		"a hop says localhost":        {behind, app + near + "X-Forwarded-Host: localhost\r\n", ""},
		"a hop says evil":             {behind, near + "X-Forwarded-Host: evil.example\r\n", "evil.example"},
		"a stranger says localhost":   {sealed, evil + "X-Forwarded-Host: localhost\r\n", "evil.example"},
		"listed":                      {named("app.example.com"), app, ""},
		"listed, any port":            {named("app.example.com"), "Host: App.Example.COM:1\r\n", ""},
		"listed, another":             {named("app.example.com"), page, `"evil.example:8090" is not in AcceptOptions.Hosts`},
		"listed, so not localhost":    {named("app.example.com"), "Host: localhost\r\n", "is not in"},
		"listed, from another":        {named("app.example.com"), page + remote + https, "is not in"},
		"listed, by its hop":          {named("app.example.com"), "X-Forwarded-Host: app.example.com\r\n" + remote, ""},
		"listed with its port":        {named("a.example", "app.example.com:81"), "Host: app.example.com:81\r\n", ""},
		"listed with the usual port":  {named("app.example.com:80"), app, ""},
		"and it is that of https":     {named("app.example.com:443"), app + remote + https, ""},
		"and of http only":            {named("app.example.com:80"), app + remote + https, "is not in"},
		"listed with another port":    {named("app.example.com:81"), app, "is not in"},
		"below a star":                {named("*.example.com"), "Host: a.app.example.com\r\n", ""},
		"not below a star":            {named("*.example.com"), "Host: example.com\r\n", "is not in"},
		"beside a star":               {named("*.example.com"), "Host: evilexample.com\r\n", "is not in"},
		"any":                         {named("*"), page, ""},
		"an address":                  {named("[2001:DB8::1]"), "Host: [2001:db8:0::1]:443\r\n", ""},
		"a list that cannot be read":  {named("app.example.com", "https://app.example.com"), app, "want something like"},
		"a list with nothing in it":   {named(""), app, "want something like"},
		"a star in the middle":        {named("app.*.com"), app, "want something like"},
		"a star that is in the clear": {named("*."), app, "want something like"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, outcomes := production(t, &c.opts)
			resp, body, _ := send(t, addr, handshake+c.headers)
			got := <-outcomes
			if c.advice == "" {
				if got.err != nil {
					t.Fatal(got.err)
				}
				return
			}
			wantRefusal(t, resp, got, 421, transport.ErrHost)
			if !strings.Contains(got.err.Error(), c.advice) {
				t.Errorf("got %v, want %q", got.err, c.advice)
			}
			if body != "this server is not served under the name that was dialled\n" {
				t.Errorf("the client reads %q", body)
			}
		})
	}
}

// No page has a certificate of this server: over TLS every name will do, on this socket
// or on the load balancer's that passes it on.
func TestNamesOverTLSAreTheCertificatesBusiness(t *testing.T) {
	outcomes := make(chan error, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, nil)
		if err == nil {
			conn.Read(cancelled(), nil)
		}
		outcomes <- err
	}))
	defer s.Close()
	for host, want := range map[string]bool{"example.com": true, "127.0.0.1": true} {
		tr := s.Client().Transport.(*http.Transport).Clone()
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
		}
		r, _ := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "Host: " + host + "\r\n\r\n")))
		r.URL.Scheme, r.URL.Host, r.RequestURI = "https", host, ""
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
		if err := <-outcomes; (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What comes by the network has no business with names, and a request that does not say
// where it arrived is judged by its peer.
func TestOnlyLoopbackMindsNames(t *testing.T) {
	for name, c := range map[string]struct {
		local, remote string
		status        int // 501: it got as far as the writer, which cannot be hijacked
	}{
		"by the network":         {"192.0.2.1:80", "192.0.2.7:5", 501},
		"this machine's address": {"192.0.2.1:80", "192.0.2.1:5", 501},
		"a Unix socket":          {"", "@", 501},
		"loopback":               {"127.0.0.1:80", "127.0.0.1:5", 421},
		"IPv6":                   {"[::1]:80", "[::1]:5", 421},
		"nothing is known":       {"", "127.0.0.1:5", 421},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "Host: app.example.com\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = c.remote
		if c.local != "" {
			at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
		}
		w := httptest.NewRecorder()
		transport.Accept(w, r, &transport.AcceptOptions{Sealed: true})
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		}
	}
}

func TestDiagnosesMindNames(t *testing.T) {
	s := httptest.NewServer(diagnose.Handler(nil))
	defer s.Close()
	for host, status := range map[string]int{"evil.example": 421, "localhost": 101} {
		resp, _, socket := send(t, s.Listener.Addr().String(), handshake+"Host: "+host+"\r\nSec-WebSocket-Protocol: hopseal.diagnose.1\r\n")
		if resp.StatusCode != status {
			t.Errorf("%s: %s", host, resp.Status)
		}
		socket.Close()
	}
}

// The client is told what to do about it.
func TestADialOfAnotherNameSaysSo(t *testing.T) {
	addr, _ := production(t, &transport.AcceptOptions{Sealed: true, Hosts: []string{"app.example.com"}})
	_, err := transport.Dial(t.Context(), "ws://"+addr, &transport.DialOptions{Sealed: true})
	if err == nil || !strings.Contains(err.Error(), "421 Misdirected Request: it does not go by the name in the URL: dial another, or list this one in AcceptOptions.Hosts") {
		t.Errorf("got %v", err)
	}
}
