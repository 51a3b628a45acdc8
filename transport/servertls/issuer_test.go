//go:build !js

package servertls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// issuer stands for an ACME client: it has a certificate for one name, and another
// one to show to an authority that checks the name.
func issuer(ca *authority, name string) (cert, challenge *tls.Certificate, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	pair := func() *tls.Certificate {
		i := ca.issue(named(name))
		c := must(tls.X509KeyPair(i.cert, i.key))
		return &c
	}
	cert, challenge = pair(), pair()
	cert.Leaf = nil // not everybody sets it
	return cert, challenge, func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch {
		case hello.ServerName != name:
			return nil, errors.New("not my name")
		case len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeProtocol:
			return challenge, nil
		}
		return cert, nil
	}
}

func TestCertificatesFromElsewhere(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	local := ca.issue(named("local.example"))
	cert, _, get := issuer(ca, "issued.example")
	issuedSerial := must(x509.ParseCertificate(cert.Certificate[0])).SerialNumber.Int64()
	for name, row := range map[string]struct {
		pairs []Pair
		want  map[string]int64 // serial by name asked for; 0 is a handshake that fails
	}{
		"beside files":  {[]Pair{files.put(local)}, map[string]int64{"local.example": local.serial, "issued.example": issuedSerial, "other.example": 0}},
		"without files": {nil, map[string]int64{"local.example": 0, "issued.example": issuedSerial, "other.example": 0}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			w := watch(t, Options{Pairs: row.pairs, GetCertificate: get})
			address := serve(t, w.TLSConfig())
			for host, serial := range row.want {
				s, err := visit(address, &tls.Config{RootCAs: ca.pool(), ServerName: host, MaxVersion: version})
				if serialOf(s) != serial || (err == nil) != (serial != 0) {
					t.Errorf("%s, %s: serial %d, want %d, error %v", name, host, serialOf(s), serial, err)
				}
			}
			expiries := w.Expiries()
			if last := expiries[len(expiries)-1]; len(expiries) != len(row.pairs)+1 || last.Name != "issued.example" || last.File != "" || last.Left < 80*dayLong {
				t.Errorf("%s: expiries %+v", name, expiries)
			}
		}
	}
}

// An authority that checks a name has no client certificate. Nobody gets in by
// claiming to be an authority.
func TestTheChallengeProtocol(t *testing.T) {
	ca := newAuthority()
	_, challenge, get := issuer(ca, "issued.example")
	w := watch(t, Options{GetCertificate: get, ClientCAs: newFolder(t).write("clients", ca.pem()), HTTP2: true})
	address := serveHTTP(t, w, http.HandlerFunc(answerOK), "an authority has checked the name, and gets no connection")
	config := &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example", NextProtos: []string{acmeProtocol}}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if s := conn.ConnectionState(); s.NegotiatedProtocol != acmeProtocol || serialOf(s) != challenge.Leaf.SerialNumber.Int64() {
		t.Errorf("%s with certificate %d", s.NegotiatedProtocol, serialOf(s))
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: issued.example\r\n\r\n")
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("the server answered %q", answer)
	}
	if len(w.Expiries()) != 0 {
		t.Errorf("the gauge shows a challenge: %+v", w.Expiries())
	}
	address = serve(t, w.TLSConfig())
	for _, protocols := range [][]string{{acmeProtocol, "http/1.1"}, {"http/1.1", acmeProtocol}, {"http/1.1"}, nil} {
		config := config.Clone()
		config.NextProtos = protocols
		if _, err := visit(address, config); err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Errorf("%v: got %v, want that a certificate is required", protocols, err)
		}
	}
}

func TestCertificatesFromElsewhereThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		cert, _, get := issuer(ca, "issued.example")
		var events recorder
		w := watch(t, Options{GetCertificate: get, Interval: time.Hour, Notify: events.add})
		w.shown.add(nil, w.shown.turn(), cert)
		for range 10 { // it is shown again and again
			time.Sleep(10 * dayLong)
			w.shown.add(nil, w.shown.turn(), cert)
		}
		synctest.Wait()
		events.expect(t, Expiring, Expiring, Expiring, Expiring)
		newer, _, _ := issuer(ca, "issued.example")
		early := w.shown.turn()
		w.shown.add(nil, w.shown.turn(), newer)
		w.shown.add(nil, early, cert) // a handshake that took its time
		if e := w.Expiries(); len(e) != 1 || e[0].Left < 80*dayLong {
			t.Errorf("expiries %+v", e)
		}
		time.Sleep(61 * dayLong)
		synctest.Wait()
		events.expect(t, Expiring, Expiring, Expiring, Expiring, Expiring)
		if e := events.all()[0]; len(e.Files) != 0 || e.Certificate.Name != "issued.example" {
			t.Errorf("got %+v of %+v", e, e.Certificate)
		}
		w.Close()
	})
}
