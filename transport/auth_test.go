//go:build !js

package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

const secret = "s3cr3t-t0ken"

// knows lets in whoever shows the secret.
func knows(_ context.Context, c *transport.Caller) (transport.Grant, error) {
	if string(c.Token) != secret {
		return transport.Grant{}, fmt.Errorf("token of %d bytes: %w", len(c.Token), transport.ErrUnauthorized)
	}
	return transport.Grant{Principal: "ann", Claims: 7}, nil
}

var tokenForms = map[string]string{
	"header":      "Authorization: Bearer %s\r\n",
	"lower case":  "authorization: bearer %s\r\n",
	"subprotocol": "Sec-WebSocket-Protocol: chat.v1, hopseal.bearer.%s\r\n",
	"upper case":  "Sec-WebSocket-Protocol: chat.v1, HOPSEAL.bearer.%s\r\n",
	"own line":    "Sec-WebSocket-Protocol: hopseal.bearer.%s\r\nSec-WebSocket-Protocol: chat.v1\r\n",
	"cookie":      "Cookie: a=b; __Host-session=%s; c=d\r\nOrigin: https://app.example\r\n",
}

// shows puts a token into a form.
func shows(form, token string) string {
	if strings.Contains(form, "Protocol") {
		return fmt.Sprintf(form, base64.RawURLEncoding.EncodeToString([]byte(token)))
	}
	return fmt.Sprintf(form, token)
}

func guarded() *transport.AcceptOptions {
	return &transport.AcceptOptions{Authenticate: knows, AuthCookie: "__Host-session",
		Origins: []string{"https://app.example"}, Subprotocols: []string{"chat.v2", "chat.v1"}}
}

func TestAuthenticateLetsInWhoIsKnown(t *testing.T) {
	addr, outcomes := acceptor(t, guarded())
	for name, form := range tokenForms {
		t.Run(name, func(t *testing.T) {
			resp, _, _ := send(t, addr, handshake+shows(form, secret))
			got := <-outcomes
			if got.err != nil {
				t.Fatal(got.err)
			}
			if g := transport.GrantOf(got.conn); g.Principal != "ann" || g.Claims != 7 || got.conn.Info().Principal != "ann" {
				t.Errorf("granted %+v", g)
			}
			want := ""
			if strings.Contains(form, "chat.v1") {
				want = "chat.v1"
			}
			if got.conn.Info().Subprotocol != want || resp.Header.Get("Sec-WebSocket-Protocol") != want {
				t.Errorf("subprotocol %q, answered %q", got.conn.Info().Subprotocol, resp.Header.Get("Sec-WebSocket-Protocol"))
			}
			if all := fmt.Sprintf("%+v %v", got.conn.Info(), resp.Header); strings.Contains(all, secret) || strings.Contains(all, "bearer") {
				t.Errorf("the credential shows: %s", all)
			}
		})
		t.Run(name+", wrong", func(t *testing.T) {
			resp, body, _ := send(t, addr, handshake+shows(form, secret+"x"))
			wantRefusal(t, resp, <-outcomes, 401, transport.ErrUnauthorized)
			if got := resp.Header["Www-Authenticate"]; len(got) != 1 || got[0] != `Bearer error="invalid_token"` {
				t.Errorf("challenge %q", got)
			}
			if body != "a valid credential is needed here\n" {
				t.Errorf("the client reads %q", body)
			}
		})
	}
	resp, _, _ := send(t, addr, handshake)
	wantRefusal(t, resp, <-outcomes, 401, transport.ErrUnauthorized)
	if got := resp.Header.Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("challenge %q", got)
	}
}

func TestBearerSubprotocolOfAClient(t *testing.T) {
	addr, outcomes := acceptor(t, guarded())
	send(t, addr, handshake+"Sec-WebSocket-Protocol: chat.v1,"+transport.BearerSubprotocol(secret)+"\r\n")
	if got := <-outcomes; got.err != nil {
		t.Fatal(got.err)
	}
}

// TestA43CookiesNeedAnOrigin: a foreign page's request carries the cookie, and a
// request without an Origin is no page's.
func TestA43CookiesNeedAnOrigin(t *testing.T) {
	addr, outcomes := acceptor(t, guarded())
	const cookie = "Cookie: __Host-session=" + secret + "\r\n"
	for name, headers := range map[string]string{
		"no Origin":      cookie,
		"a foreign page": cookie + "Origin: https://evil.example\r\n",
		"null":           cookie + "Origin: null\r\n",
		"an empty one":   cookie + "Origin: \r\n",
	} {
		t.Run(name, func(t *testing.T) {
			resp, _, _ := send(t, addr, handshake+headers)
			wantRefusal(t, resp, <-outcomes, 403, transport.ErrOrigin)
		})
	}
	for name, c := range map[string]struct {
		headers string
		status  int
	}{
		"another cookie":          {"Cookie: session=" + secret + "\r\nOrigin: https://app.example\r\n", 401},
		"no name for cookies":     {"Cookie: =" + secret + "\r\nOrigin: https://app.example\r\n", 401},
		"twice":                   {"Cookie: __Host-session=" + secret + "; __Host-session=x\r\nOrigin: https://app.example\r\n", 400},
		"beside a bearer token":   {cookie + "Authorization: Bearer wrong\r\nOrigin: https://app.example\r\n", 401},
		"beside one, and no page": {cookie + "Authorization: Bearer " + secret + "\r\n", 101},
	} {
		t.Run(name, func(t *testing.T) {
			resp, _, _ := send(t, addr, handshake+c.headers)
			got := <-outcomes
			if c.status != 101 {
				wantRefusal(t, resp, got, c.status, transport.ErrUnauthorized)
			} else if got.err != nil {
				t.Fatal(got.err)
			}
		})
	}
}

func TestTokensThatCannotBeRead(t *testing.T) {
	addr, outcomes := acceptor(t, guarded())
	const subprotocol = "Sec-WebSocket-Protocol: chat.v1, hopseal.bearer."
	coded := base64.RawURLEncoding.EncodeToString([]byte(secret))
	for name, headers := range map[string]string{
		"two headers":            shows(tokenForms["header"], secret) + shows(tokenForms["header"], secret),
		"two subprotocols":       subprotocol + coded + ", hopseal.bearer." + coded + "\r\n",
		"header and subprotocol": shows(tokenForms["header"], secret) + subprotocol + coded + "\r\n",
		"no base64url":           subprotocol + "!!!\r\n",
		"padding":                subprotocol + coded + "==\r\n",
		"another spelling":       subprotocol + "czB\r\n", // bits that say nothing
		"empty subprotocol":      subprotocol + "\r\n",
		"empty header":           "Authorization: Bearer\r\n",
		"a blank":                "Authorization: Bearer a b\r\n",
		"no ASCII":               "Authorization: Bearer \xff\r\n",
		"a control, coded":       subprotocol + base64.RawURLEncoding.EncodeToString([]byte("a\nb")) + "\r\n",
		"huge":                   "Authorization: Bearer " + strings.Repeat("x", 8<<10+1) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			resp, body, _ := send(t, addr, handshake+headers)
			wantRefusal(t, resp, <-outcomes, 400, transport.ErrUnauthorized)
			if body != "the credential in this request cannot be read\n" {
				t.Errorf("the client reads %q", body)
			}
		})
	}
	resp, _, _ := send(t, addr, handshake+"Authorization: Basic "+secret+"\r\n")
	wantRefusal(t, resp, <-outcomes, 401, transport.ErrUnauthorized)
}

func TestVerdicts(t *testing.T) {
	down := errors.New("the database is down")
	type verdict struct {
		grant transport.Grant
		err   error
	}
	for name, c := range map[string]struct {
		verdict verdict
		status  int
		is      error
		body    string
	}{
		"forbidden":       {verdict{err: fmt.Errorf("suspended: %w", transport.ErrForbidden)}, 403, transport.ErrForbidden, "this client may not connect here\n"},
		"fails":           {verdict{err: down}, 503, down, "credentials cannot be checked now\n"},
		"takes too long":  {verdict{err: context.DeadlineExceeded}, 503, context.DeadlineExceeded, "credentials cannot be checked now\n"},
		"expired":         {verdict{grant: transport.Grant{Expires: time.Now()}}, 401, transport.ErrUnauthorized, "a valid credential is needed here\n"},
		"a bad name":      {verdict{grant: transport.Grant{Principal: "a\x1b[2J"}}, 403, transport.ErrForbidden, "this client may not connect here\n"},
		"a long name":     {verdict{grant: transport.Grant{Principal: strings.Repeat("a", 257)}}, 403, transport.ErrForbidden, "this client may not connect here\n"},
		"fails with ones": {verdict{grant: transport.Grant{Principal: "ann"}, err: down}, 503, down, "credentials cannot be checked now\n"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, outcomes := acceptor(t, &transport.AcceptOptions{
				Authenticate: func(context.Context, *transport.Caller) (transport.Grant, error) {
					return c.verdict.grant, c.verdict.err
				},
			})
			resp, body, _ := send(t, addr, handshake)
			wantRefusal(t, resp, <-outcomes, c.status, c.is)
			if body != c.body {
				t.Errorf("the client reads %q", body)
			}
			if after := resp.Header.Get("Retry-After"); (after == "") == (c.status == 503) {
				t.Errorf("Retry-After %q", after)
			}
		})
	}
}

// TestA48CallersMayRepeatWhatTheySaw: errors of applications often quote what
// they refuse.
func TestA48CallersMayRepeatWhatTheySaw(t *testing.T) {
	quotes := []func(*transport.Caller) error{
		func(c *transport.Caller) error { return fmt.Errorf("bad token %s", string(c.Token)) },
		func(c *transport.Caller) error { return fmt.Errorf("no token in %s", c.Request.URL) },
		func(c *transport.Caller) error {
			return fmt.Errorf("bad ticket %s", c.Request.URL.Query().Get("token"))
		},
		func(c *transport.Caller) error { return fmt.Errorf("bad header %v", c.Request.Header) },
		func(c *transport.Caller) error {
			_, password, _ := c.Request.BasicAuth()
			return fmt.Errorf("bad password %s", password)
		},
	}
	for i := range 3 * len(quotes) {
		is, quote := []error{transport.ErrUnauthorized, transport.ErrForbidden, nil}[i%3], quotes[i/3]
		addr, outcomes := acceptor(t, &transport.AcceptOptions{Origins: []string{"https://app.example"},
			Authenticate: func(_ context.Context, c *transport.Caller) (transport.Grant, error) {
				err := quote(c)
				if is != nil {
					err = fmt.Errorf("%w: %w", is, err)
				}
				return transport.Grant{}, err
			},
		})
		basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+secret)) + "\r\n"
		for _, headers := range []string{shows(tokenForms["header"], secret), "", basic, basic + shows(tokenForms["cookie"], secret)} {
			send(t, addr, handshake+headers)
			got := <-outcomes
			for err := got.err; err != nil; err = errors.Unwrap(err) {
				if text := fmt.Sprintf("%v %+v %q", err, err, err); strings.Contains(text, secret) || strings.Contains(text, "qu3ry") || strings.Contains(text, "YW5uO") {
					t.Errorf("%s", text)
				}
			}
			if is != nil && !errors.Is(got.err, is) {
				t.Errorf("%v does not match %v", got.err, is)
			}
		}
	}
}

func TestWhatACallerShows(t *testing.T) {
	callers := make(chan *transport.Caller, 1)
	opts := guarded()
	opts.Authenticate = func(ctx context.Context, c *transport.Caller) (transport.Grant, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		callers <- c
		return transport.Grant{}, nil
	}
	addr, outcomes := acceptor(t, opts)
	for name, headers := range map[string]string{
		"header":      "Cookie: k00kie=1\r\n" + shows(tokenForms["header"], secret),
		"subprotocol": "Cookie: k00kie=1\r\n" + shows(tokenForms["subprotocol"], secret),
	} {
		send(t, addr, handshake+headers)
		c := <-callers
		if got := <-outcomes; got.err != nil {
			t.Fatal(got.err)
		}
		if string(c.Token) != secret || c.Client != "127.0.0.1" || c.Origin != "" {
			t.Errorf("%s: %+v", name, c)
		}
		all := fmt.Sprint(c.Request.Header)
		if strings.Contains(all, secret) || strings.Contains(all, "bearer") || strings.Contains(all, "k00kie") {
			t.Errorf("%s: the request holds %s", name, all)
		}
	}
	send(t, addr, handshake+"Cookie: k00kie=1\r\nOrigin: https://app.example\r\nAuthorization: Basic abc\r\n")
	if c := <-callers; c.Request.Header.Get("Cookie") == "" || c.Request.Header.Get("Authorization") != "Basic abc" || c.Origin != "https://app.example" {
		t.Errorf("got %+v", c)
	}
	<-outcomes
}

func TestA42TokensShowNothing(t *testing.T) {
	token := transport.Token(secret)
	c := &transport.Caller{Token: token}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", token, c, *c)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token, "caller", *c)
	coded, err := json.Marshal(map[string]any{"token": token})
	out.Write(coded)
	if err != nil || strings.Contains(out.String(), secret) || strings.Contains(out.String(), fmt.Sprintf("%x", secret)) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestA48CredentialsOverCleartextAreRefused: what is sealed may come over ws, the
// credential would not be.
func TestA48CredentialsOverCleartextAreRefused(t *testing.T) {
	opts := guarded()
	opts.Sealed = true
	asked := make(chan bool, 1)
	opts.Authenticate = func(context.Context, *transport.Caller) (transport.Grant, error) {
		asked <- true
		return transport.Grant{}, nil
	}
	addr, outcomes := production(t, opts)
	for name, headers := range map[string]string{
		"header":      shows(tokenForms["header"], secret),
		"subprotocol": shows(tokenForms["subprotocol"], secret),
		"cookie":      shows(tokenForms["cookie"], secret),
		"Basic":       "Authorization: Basic " + secret + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			resp, _, _ := send(t, addr, handshake+headers)
			wantRefusal(t, resp, <-outcomes, 403, transport.ErrCleartext)
		})
	}
	select {
	case <-asked:
		t.Error("Authenticate was asked")
	default:
	}
	send(t, addr, handshake)
	if got := <-outcomes; got.err != nil {
		t.Errorf("without a credential: %v", got.err)
	}
}

func TestSubprotocols(t *testing.T) {
	for _, c := range []struct {
		offered string
		ours    []string
		want    string
	}{
		{"a, b", []string{"b", "a"}, "b"}, // the server's preference counts
		{"a", []string{"b"}, ""},
		{"a", nil, ""},
		{"A", []string{"a"}, ""},
		{"B, b", []string{"b"}, "b"},
		{"hopseal.bearer.YQ", []string{"hopseal.bearer.YQ"}, ""},
	} {
		addr, outcomes := acceptor(t, &transport.AcceptOptions{Subprotocols: c.ours})
		resp, _, _ := send(t, addr, handshake+"Sec-WebSocket-Protocol: "+c.offered+"\r\n")
		got := <-outcomes
		if got.err != nil {
			t.Fatal(got.err)
		}
		sent, answered := resp.Header["Sec-Websocket-Protocol"]
		if got.conn.Info().Subprotocol != c.want || answered != (c.want != "") || answered && sent[0] != c.want {
			t.Errorf("%+v: answered %q", c, sent)
		}
	}
}

// certificate makes one for a client, signed by itself.
func certificate(name string) tls.Certificate { return pki.Issue(name, nil, pki.CA, forClients).Pair() }

func forClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

func TestA49ForwardedCertificatesCountFromListedHopsOnly(t *testing.T) {
	bob := certificate("bob")
	claim := "Client-Cert: :" + base64.StdEncoding.EncodeToString(bob.Certificate[0]) + ":\r\n"
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	byName := func(_ context.Context, c *transport.Caller) (transport.Grant, error) {
		if c.Certificate == nil {
			return transport.Grant{Principal: "nobody"}, nil
		}
		return transport.Grant{Principal: c.Certificate.Subject.CommonName}, nil
	}
	for name, c := range map[string]struct {
		opts    transport.AcceptOptions
		headers string
		want    string // "" for 400
	}{
		"a hop":              {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, claim, "bob"},
		"a hop, none":        {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, "", "nobody"},
		"a hop not known to": {transport.AcceptOptions{TrustedHops: loopback}, claim, "nobody"},
		"a stranger":         {transport.AcceptOptions{TrustedHops: elsewhere, TrustClientCert: true}, claim, "nobody"},
		"no hops":            {transport.AcceptOptions{TrustClientCert: true}, claim, "nobody"},
		"twice":              {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, claim + claim, ""},
		"no certificate":     {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, "Client-Cert: :AAAA:\r\n", ""},
		"no byte sequence":   {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, "Client-Cert: AAAA\r\n", ""},
		"one colon":          {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, "Client-Cert: :\r\n", ""},
		"parameters":         {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, strings.Replace(claim, ":\r\n", ":;a=1\r\n", 1), ""},
		"huge":               {transport.AcceptOptions{TrustedHops: loopback, TrustClientCert: true}, "Client-Cert: :" + strings.Repeat("A", 16<<10) + ":\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Authenticate, c.opts.Sealed = byName, true
			addr, outcomes := production(t, &c.opts)
			resp, _, _ := send(t, addr, handshake+c.headers)
			got := <-outcomes
			if c.want == "" {
				wantRefusal(t, resp, got, 400, transport.ErrUnauthorized)
			} else if got.err != nil || got.conn.Info().Principal != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestClientCertificateOverTLS also shows that a hop's own certificate is nobody
// else's.
func TestClientCertificateOverTLS(t *testing.T) {
	ann := certificate("ann")
	leaf, err := x509.ParseCertificate(ann.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hops  []netip.Prefix
		certs []tls.Certificate
		want  string
	}{
		"shown":      {nil, []tls.Certificate{ann}, "ann"},
		"none shown": {nil, nil, "nobody"},
		"a hop's":    {[]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, []tls.Certificate{ann}, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			infos := make(chan transport.Info, 1)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := transport.Accept(w, r, &transport.AcceptOptions{TrustedHops: c.hops,
					Authenticate: func(_ context.Context, c *transport.Caller) (transport.Grant, error) {
						if c.Certificate == nil {
							return transport.Grant{Principal: "nobody"}, nil
						}
						return transport.Grant{Principal: c.Certificate.Subject.CommonName}, nil
					}})
				if err != nil {
					t.Error(err)
					return
				}
				infos <- conn.Info()
				conn.Close(transport.CodeNormal, "")
			}))
			s.TLS = &tls.Config{ClientCAs: x509.NewCertPool(), ClientAuth: tls.VerifyClientCertIfGiven}
			s.TLS.ClientCAs.AddCert(leaf)
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			socket, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{RootCAs: roots, Certificates: c.certs})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			io.WriteString(socket, handshake+"Host: "+s.Listener.Addr().String()+"\r\n\r\n")
			info := <-infos
			if info.Principal != c.want || info.Kind != "wss" || info.TLS == nil || info.TLS.Version != "TLS 1.3" || len(info.TLS.Peer) != len(c.certs) || len(info.TLS.ChannelBinding()) != 32 {
				t.Errorf("got %+v, TLS %+v", info, info.TLS)
			}
		})
	}
}

// acceptInBubble accepts a connection with a grant, and returns what comes to the
// client.
func acceptInBubble(t *testing.T, g transport.Grant) (conn transport.Conn, toClient *bufio.Reader) {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	r := httptest.NewRequest("GET", "/", nil)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(k, v)
	}
	conn, err := transport.Accept(onPipe{httptest.NewRecorder(), server}, r, &transport.AcceptOptions{KeepAlive: -1, Sealed: true,
		Authenticate: func(context.Context, *transport.Caller) (transport.Grant, error) { return g, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(client)
}

// closeFrame reads the close message that a client gets.
func closeFrame(t *testing.T, from *bufio.Reader) (code int, reason string) {
	t.Helper()
	head := make([]byte, 4)
	if _, err := io.ReadFull(from, head); err != nil || head[0] != 0x88 {
		t.Fatalf("got %x, %v", head, err)
	}
	text := make([]byte, head[1]-2)
	io.ReadFull(from, text)
	return int(head[2])<<8 | int(head[3]), string(text)
}

func TestAnExpiredCredentialEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		conn, toClient := acceptInBubble(t, transport.Grant{Principal: "ann", Expires: began.Add(time.Hour)})
		if conn.Info().Expires != began.Add(time.Hour) {
			t.Errorf("Info has %v", conn.Info().Expires)
		}
		ended := make(chan error, 1)
		go func() { _, err := conn.Read(context.Background(), nil); ended <- err }()
		if code, reason := closeFrame(t, toClient); code != 3000 || reason != "the credential has expired" {
			t.Errorf("the client gets %d %q", code, reason)
		}
		if lived := time.Since(began); lived != time.Hour {
			t.Errorf("closed after %v", lived)
		}
		err := <-ended
		wantClosed(t, err, transport.CodeUnauthorized, false)
		if !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("%v does not match ErrUnauthorized", err)
		}
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		conn, toClient := acceptInBubble(t, transport.Grant{Principal: "ann", Expires: began.Add(time.Hour)})
		time.Sleep(time.Hour - time.Second)
		for name, g := range map[string]transport.Grant{
			"another's": {Principal: "bob", Expires: began.Add(3 * time.Hour)},
			"nobody's":  {Expires: began.Add(3 * time.Hour)},
			"expired":   {Principal: "ann", Expires: time.Now()},
		} {
			if err := transport.Renew(conn, g); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
		if err := transport.Renew(conn, transport.Grant{Principal: "ann", Claims: "new", Expires: began.Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if g := transport.GrantOf(conn); g.Claims != "new" || conn.Info().Expires != began.Add(time.Hour) {
			t.Errorf("got %+v, Info %+v", g, conn.Info())
		}
		closeFrame(t, toClient)
		if lived := time.Since(began); lived != 2*time.Hour {
			t.Errorf("closed after %v", lived)
		}
		conn.Close(transport.CodeNormal, "")
		if err := transport.Renew(conn, transport.Grant{Principal: "ann", Expires: began.Add(5 * time.Hour)}); err != nil {
			t.Error(err) // of no use, and no harm: it starts no timer
		}
	})
}

func TestAGrantForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, toClient := acceptInBubble(t, transport.Grant{Principal: "ann"})
		go io.Copy(io.Discard, toClient)
		time.Sleep(10 * 365 * 24 * time.Hour)
		mustWrite(t, conn, "still here")
		conn.Close(transport.CodeNormal, "")
	})
}

func TestRenewOfWhatAcceptDidNotMake(t *testing.T) {
	a, _ := transport.Pipe()
	defer a.Close(transport.CodeNormal, "")
	if err := transport.Renew(a, transport.Grant{}); err == nil || transport.GrantOf(a) != (transport.Grant{}) {
		t.Errorf("got %v", err)
	}
}

// TestATokenAsAPageShowsIt has both ends of this package.
func TestATokenAsAPageShowsIt(t *testing.T) {
	addr, outcomes := acceptor(t, guarded())
	conn := dial(t, "ws://"+addr, &transport.DialOptions{Subprotocols: []string{"chat.v1", "chat.v2", transport.BearerSubprotocol(secret)}})
	got := <-outcomes
	if got.err != nil {
		t.Fatal(got.err)
	}
	there, here := got.conn.Info(), conn.Info()
	if there.Principal != "ann" || there.Subprotocol != "chat.v2" || here.Subprotocol != "chat.v2" {
		t.Errorf("server %+v, client %+v", there, here)
	}
	if strings.Contains(fmt.Sprint(there, here), "bearer") {
		t.Errorf("the credential shows: %+v, %+v", there, here)
	}
}
