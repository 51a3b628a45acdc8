//go:build !js

package acme

import (
	"bytes"
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
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// An authority is as much of RFC 8555 as autocert uses, with one order at a time. It
// checks names by tls-alpn-01 for real, at one address, and no signature of its
// client.
type authority struct {
	*httptest.Server
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu         sync.Mutex // guards what follows
	at         string     // where the names are
	thumbprint string     // of the account's key
	name       string     // of the order
	valid      bool
	leaf       []byte
	orders     []string // names that were asked for
	failure    error    // of the last check
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newAuthority(t *testing.T) *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	a.Server = httptest.NewTLSServer(a.routes())
	t.Cleanup(a.Close)
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
	handle := func(path string, status int, answer func(r *http.Request, payload []byte) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			defer a.mu.Unlock()
			body := answer(r, a.payload(r))
			w.Header().Set("Replay-Nonce", "nonce")
			w.Header().Set("Location", a.URL+"/order")
			w.WriteHeader(status)
			if raw, ok := body.([]byte); ok {
				w.Write(raw)
			} else {
				json.NewEncoder(w).Encode(body)
			}
		})
	}
	handle("/directory", 200, func(*http.Request, []byte) any {
		return map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/new-order"}
	})
	handle("/nonce", 200, func(*http.Request, []byte) any { return []byte{} })
	handle("/account", 201, func(*http.Request, []byte) any { return map[string]string{"status": "valid"} })
	handle("/new-order", 201, func(_ *http.Request, payload []byte) any {
		var req struct{ Identifiers []struct{ Value string } }
		json.Unmarshal(payload, &req)
		a.name, a.valid, a.leaf = req.Identifiers[0].Value, false, nil
		a.orders = append(a.orders, a.name)
		return a.order()
	})
	handle("/order", 200, func(*http.Request, []byte) any { return a.order() })
	handle("/authz", 200, func(*http.Request, []byte) any {
		return map[string]any{"status": a.status("valid"), "identifier": map[string]string{"type": "dns", "value": a.name},
			"challenges": []any{map[string]string{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": token, "status": a.status("valid")}}}
	})
	handle("/challenge", 200, func(*http.Request, []byte) any {
		a.failure = a.check()
		a.valid = a.failure == nil
		return map[string]string{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": token, "status": a.status("valid")}
	})
	handle("/finalize", 200, func(_ *http.Request, payload []byte) any {
		var req struct{ CSR string }
		json.Unmarshal(payload, &req)
		a.leaf = a.issue(must(x509.ParseCertificateRequest(must(base64.RawURLEncoding.DecodeString(req.CSR)))))
		return a.order()
	})
	handle("/certificate", 200, func(*http.Request, []byte) any {
		return bytes.Join([][]byte{encode(a.leaf), encode(a.cert.Raw)}, nil)
	})
	return mux
}

func encode(cert []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

func (a *authority) status(done string) string {
	if a.valid {
		return done
	}
	return "pending"
}

func (a *authority) order() map[string]any {
	o := map[string]any{"status": a.status("ready"), "identifiers": []any{map[string]string{"type": "dns", "value": a.name}},
		"authorizations": []string{a.URL + "/authz"}, "finalize": a.URL + "/finalize"}
	if a.leaf != nil {
		o["status"], o["certificate"] = "valid", a.URL+"/certificate"
	}
	return o
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
func (a *authority) check() error {
	conn, err := tls.Dial("tcp", a.at, &tls.Config{ServerName: a.name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	s := conn.ConnectionState()
	leaf := s.PeerCertificates[0]
	if s.NegotiatedProtocol != "acme-tls/1" || len(leaf.DNSNames) != 1 || !strings.EqualFold(leaf.DNSNames[0], a.name) {
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

func (a *authority) issue(csr *x509.CertificateRequest) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(a.orders))), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return must(x509.CreateCertificate(rand.Reader, template, a.cert, csr.PublicKey, a.key))
}
