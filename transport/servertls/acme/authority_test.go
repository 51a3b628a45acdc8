//go:build !js

package acme

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// An authority is as much of RFC 8555 as is used here. It checks names by tls-alpn-01 for
// real, at one address, and no signature of its client.
type authority struct {
	*httptest.Server
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dial func(context.Context) (net.Conn, error) // to where the names are

	mu         sync.Mutex // guards what follows
	address    string     // where the names are
	thumbprint string     // of the account's key
	orders     []*order
	failure    error // of the last check
	lag        time.Duration
	life       time.Duration // of certificates; zero for 90 days
}

// An order is for one name. What belongs to it has its number at the end of its path.
type order struct {
	number int
	name   string
	valid  bool
	leaf   []byte
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newAuthority(t *testing.T) *authority {
	a := makeAuthority()
	a.Server = httptest.NewTLSServer(a.routes())
	t.Cleanup(a.Close)
	a.dial = func(context.Context) (net.Conn, error) { return net.Dial("tcp", a.address) }
	return a
}

// makeAuthority returns one that does not listen yet.
func makeAuthority() *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

const token = "a-token-of-the-authority"

func (a *authority) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, status int, answer func(o *order, payload []byte) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			defer a.mu.Unlock()
			var o *order
			if i, err := strconv.Atoi(r.PathValue("order")); err == nil {
				o = a.orders[i]
			}
			body := answer(o, a.payload(r))
			w.Header().Set("Replay-Nonce", "nonce")
			w.Header().Set("Location", fmt.Sprintf("%s/order/%d", a.URL, len(a.orders)-1))
			w.WriteHeader(status)
			if raw, ok := body.([]byte); ok {
				w.Write(raw)
			} else {
				json.NewEncoder(w).Encode(body)
			}
		})
	}
	handle("/directory", 200, func(*order, []byte) any {
		return map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/new-order"}
	})
	handle("/nonce", 200, func(*order, []byte) any { return []byte{} })
	handle("/account", 201, func(*order, []byte) any { return map[string]string{"status": "valid"} })
	handle("/new-order", 201, func(_ *order, payload []byte) any {
		var req struct{ Identifiers []struct{ Value string } }
		json.Unmarshal(payload, &req)
		a.orders = append(a.orders, &order{number: len(a.orders), name: req.Identifiers[0].Value})
		return a.show(a.orders[len(a.orders)-1])
	})
	handle("/order/{order}", 200, func(o *order, _ []byte) any { return a.show(o) })
	handle("/authz/{order}", 200, func(o *order, _ []byte) any {
		return map[string]any{"status": o.status("valid"), "identifier": map[string]string{"type": "dns", "value": o.name}, "challenges": []any{a.challenge(o)}}
	})
	handle("/challenge/{order}", 200, func(o *order, _ []byte) any {
		a.failure = a.check(o.name)
		o.valid = a.failure == nil
		return a.challenge(o)
	})
	handle("/finalize/{order}", 200, func(o *order, payload []byte) any {
		var req struct{ CSR string }
		json.Unmarshal(payload, &req)
		o.leaf = a.issue(o, must(x509.ParseCertificateRequest(must(base64.RawURLEncoding.DecodeString(req.CSR)))))
		return a.show(o)
	})
	handle("/certificate/{order}", 200, func(o *order, _ []byte) any {
		return bytes.Join([][]byte{encode(o.leaf), encode(a.cert.Raw)}, nil)
	})
	return mux
}

func (a *authority) at(o *order, what string) string {
	return fmt.Sprintf("%s/%s/%d", a.URL, what, o.number)
}

func (a *authority) challenge(o *order) any {
	return map[string]string{"type": "tls-alpn-01", "url": a.at(o, "challenge"), "token": token, "status": o.status("valid")}
}

func encode(cert []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

func (o *order) status(done string) string {
	if o.valid {
		return done
	}
	return "pending"
}

func (a *authority) show(o *order) map[string]any {
	out := map[string]any{"status": o.status("ready"), "identifiers": []any{map[string]string{"type": "dns", "value": o.name}},
		"authorizations": []string{a.at(o, "authz")}, "finalize": a.at(o, "finalize")}
	if o.leaf != nil {
		out["status"], out["certificate"] = "valid", a.at(o, "certificate")
	}
	return out
}

// payload returns what the client says, and takes note of its key (RFC 7638).
func (a *authority) payload(r *http.Request) []byte {
	var jws struct{ Protected, Payload string }
	json.NewDecoder(r.Body).Decode(&jws)
	var header struct {
		JWK struct{ Crv, Kty, X, Y string }
	}
	protected, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
	json.Unmarshal(protected, &header)
	if k := header.JWK; k.Kty != "" {
		sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"%s","kty":"%s","x":"%s","y":"%s"}`, k.Crv, k.Kty, k.X, k.Y))
		a.thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	return payload
}

// check connects as RFC 8737, section 3 says.
func (a *authority) check(name string) error {
	raw, err := a.dial(context.Background())
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{ServerName: name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		return err
	}
	s := conn.ConnectionState()
	leaf := s.PeerCertificates[0]
	if s.NegotiatedProtocol != "acme-tls/1" || len(leaf.DNSNames) != 1 || !strings.EqualFold(leaf.DNSNames[0], name) {
		return fmt.Errorf("%s with a certificate for %v", s.NegotiatedProtocol, leaf.DNSNames)
	}
	sum := sha256.Sum256([]byte(token + "." + a.thumbprint))
	want := must(asn1.Marshal(sum[:]))
	for _, e := range leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical && bytes.Equal(e.Value, want) {
			return nil
		}
	}
	return fmt.Errorf("the certificate does not show the token")
}

func (a *authority) issue(o *order, csr *x509.CertificateRequest) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(o.number + 1)), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-a.lag - time.Hour), NotAfter: time.Now().Add(cmp.Or(a.life, 90*24*time.Hour) - a.lag),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return must(x509.CreateCertificate(rand.Reader, template, a.cert, csr.PublicKey, a.key))
}
