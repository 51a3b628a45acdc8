//go:build !js

package transport

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strconv"
	"time"

	"golang.org/x/crypto/ocsp"
)

// minRSA is the least size of RSA keys in a server's chain, in bits (NIST SP 800-131A; browsers
// require the same). crypto/tls accepts 1,024.
const minRSA = 2048

// staplePatience is how far the clock of the server's authority may be off.
const staplePatience = 5 * time.Minute

// A weakness is the reason why a chain is refused that crypto/tls accepts.
type weakness string

func (w weakness) Error() string { return string(w) }

// checkStrength refuses a server whose name is proven by a breakable key, or by a revoked
// certificate. Of several chains one has to be strong enough.
func checkStrength(s tls.ConnectionState, chains [][]*x509.Certificate, now time.Time) error {
	chain, err := strongChain(chains)
	if err != nil || len(chain) == 0 || s.DidResume { // a resumed session was checked when it was made
		return err
	}
	return checkStaple(s.OCSPResponse, chain, now)
}

// strongChain returns the first chain without a weak key. The root's key does not count: whoever
// trusts the root got it elsewhere.
func strongChain(chains [][]*x509.Certificate) (chain []*x509.Certificate, err error) {
	for _, chain := range chains {
		if err = weakKey(chain[:max(1, len(chain)-1)]); err == nil {
			return chain, nil
		}
	}
	return nil, err
}

func weakKey(certs []*x509.Certificate) error {
	for _, c := range certs {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
			return weakness("a certificate in the server's chain has an RSA key of " + strconv.Itoa(key.N.BitLen()) +
				" bits, which can be broken: have it issued anew, for 2048 bits at least or an ECDSA key")
		}
	}
	return nil
}

// checkStaple checks the server's OCSP response. There must be one if the certificate demands it.
func checkStaple(staple []byte, chain []*x509.Certificate, now time.Time) error {
	if len(staple) == 0 {
		if mustStaple(chain[0]) {
			return weakness("the server's certificate demands a proof that it is not revoked (OCSP must-staple), and the server sends none: switch OCSP stapling on there, or have a certificate without the demand")
		}
		return nil
	}
	response, err := ocsp.ParseResponseForCert(staple, chain[0], chain[min(1, len(chain)-1)])
	switch {
	case err == nil && response.Status == ocsp.Revoked:
		return weakness("the server's certificate is revoked: have another one issued, for a new key")
	case !mustStaple(chain[0]):
		return nil // not required, and no proof of revocation
	case err != nil, response.Status != ocsp.Good:
		return weakness("the server's proof that its certificate is not revoked (OCSP) is none: see why its stapling fails")
	case now.Add(staplePatience).Before(response.ThisUpdate), !response.NextUpdate.IsZero() && now.Add(-staplePatience).After(response.NextUpdate):
		return weakness("the server's proof that its certificate is not revoked (OCSP) is out of date: see why its stapling fails, and check this machine's clock")
	}
	return nil
}

// mustStaple reports whether a certificate has the feature status_request (RFC 7633).
func mustStaple(c *x509.Certificate) bool {
	const statusRequest = 5
	for _, e := range c.Extensions {
		var features []int
		if e.Id.Equal(tlsFeature) {
			_, err := asn1.Unmarshal(e.Value, &features)
			return err == nil && slices.Contains(features, statusRequest)
		}
	}
	return false
}

var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
