//go:build !js

package servertls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// intermediate returns an authority below this one.
func (a *authority) intermediate() *authority {
	t := template("intermediate")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return &authority{cert: must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)))), key: key}
}

func (i *issued) with(chain ...*authority) *issued {
	out := *i
	for _, a := range chain {
		out.cert = append(out.cert[:len(out.cert):len(out.cert)], a.pem()...)
	}
	return &out
}

// cert.pem instead of fullchain.pem would make every client fail.
func TestALeafDoesNotReplaceAChain(t *testing.T) {
	root, files := newAuthority(), newFolder(t)
	middle, other := root.intermediate(), root.intermediate()
	var events recorder
	w := watch(t, Options{Pairs: []Pair{files.put(middle.issue(nil).with(middle))}, Notify: events.add})
	address := serve(t, w.TLSConfig())
	for what, bad := range map[string]*issued{"alone": middle.issue(nil), "another's intermediate": middle.issue(nil).with(other), "of another": other.issue(nil)} {
		files.put(bad)
		if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "give fullchain.pem rather than cert.pem") {
			t.Errorf("%s: got %v", what, err)
		}
		if _, err := visit(address, &tls.Config{RootCAs: root.pool()}); err != nil {
			t.Errorf("%s: a client says %v", what, err)
		}
	}
	events.expect(t, Loaded, Refused, Refused, Refused)
	for what, good := range map[string]*issued{"whole": other.issue(nil).with(other), "with a root": root.issue(nil).with(root)} {
		files.put(good)
		if err := w.Reload(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if s, err := visit(address, &tls.Config{RootCAs: root.pool()}); err != nil || serialOf(s) != good.serial {
			t.Errorf("%s: a client says %v", what, err)
		}
	}
}

// At the start there is no better file, so an event reports a likely mistake.
func TestAChainThatIsIncompleteAtTheStart(t *testing.T) {
	root := newAuthority()
	middle, other := root.intermediate(), root.intermediate()
	public := middle.issue(func(t *x509.Certificate) { t.IssuingCertificateURL = []string{"http://authority.example/middle"} })
	for what, row := range map[string]struct {
		pair *issued
		want []Kind
	}{
		"whole":                       {public.with(middle), []Kind{Loaded}},
		"a public authority's, alone": {public, []Kind{Loaded, Incomplete}},
		"another's intermediate":      {middle.issue(nil).with(other), []Kind{Loaded, Incomplete}},
		"a private root's":            {root.issue(nil), []Kind{Loaded}},
	} {
		t.Run(what, func(t *testing.T) {
			var events recorder
			watch(t, Options{Pairs: []Pair{newFolder(t).put(row.pair)}, Notify: events.add})
			events.expect(t, row.want...)
		})
	}
}

// A client that asks for a wrong name learns that it is wrong. One that connects during
// another failure learns that it may try again.
func TestAWrongNameIsSaidToBeWrong(t *testing.T) {
	ca := newAuthority()
	local := newFolder(t).put(ca.issue(named("local.example")))
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "late.example" {
			return nil, errors.New("the authority is away")
		}
		return nil, fmt.Errorf("%q: %w", hello.ServerName, ErrUnknownName)
	}
	for _, pairs := range [][]Pair{nil, {local}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			address := serve(t, watch(t, Options{Pairs: pairs, GetCertificate: get}).TLSConfig())
			for name, want := range map[string]string{"wrong.example": "tls: unrecognized name", "late.example": "tls: internal error"} {
				if _, err := visit(address, &tls.Config{RootCAs: ca.pool(), ServerName: name, MaxVersion: version}); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%d pairs, %s: got %v, want %s", len(pairs), name, err, want)
				}
			}
		}
	}
}
