//go:build unix

package fronts

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"time"

	"github.com/hopseal/hopseal/internal/pki"
)

// holds is how long a certificate is valid: long enough that nobody warns of its end yet.
const holds = 60 * 24 * time.Hour

// A Cert is a certificate for localhost, issued by an authority of its own.
type Cert struct {
	RootPEM []byte
	Pair    tls.Certificate

	root, leaf *pki.Certificate
}

// NewCert makes a certificate that is valid for 60 days.
func NewCert() *Cert { return newCert(pki.Root(), pki.Lasting(holds)) }

// Expired returns a certificate by the same authority that has expired.
func (c *Cert) Expired() *Cert { return newCert(c.root, pki.Expired) }

func newCert(root *pki.Certificate, change pki.Change) *Cert {
	leaf := pki.Issue("localhost", root, pki.Named("localhost"), change)
	return &Cert{RootPEM: root.PEM(), Pair: leaf.Pair(), root: root, leaf: leaf}
}

// file writes a part of the certificate into a file, and returns the file's name.
func (c *Cert) file(dir, name string) string {
	cert, key := c.leaf.PEM(), c.leaf.KeyPEM()
	text := map[string][]byte{"cert.pem": cert, "key.pem": key, "both.pem": append(cert, key...)}[name]
	file := filepath.Join(dir, name)
	must(os.WriteFile(file, text, 0o644)) // readable by all, since it is a test's
	return file
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
