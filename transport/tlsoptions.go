//go:build !js

package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// ErrPin is matched by the error of a dial that found none of TLSOptions.Pins.
var ErrPin = errors.New("none of the pinned keys is in the certificate chain")

// sessionsKept is how many TLS sessions one TLSOptions keeps for resumption.
const sessionsKept = 64

// TLSOptions says whom a dial trusts and how it identifies itself. TLS is at least 1.2, the
// server's name is verified, RSA keys have at least 2,048 bits, and a certificate that demands OCSP
// stapling (must-staple) comes with a proof that it is not revoked. ALPN is http/1.1. Dials that
// share one TLSOptions resume each other's sessions; the value must not change after the first of
// them.
type TLSOptions struct {
	// RootsPEM holds CA certificates that are trusted instead of the system's, or besides them with
	// SystemRoots.
	RootsPEM    []byte
	SystemRoots bool

	// Certificates are for a server that asks for a client certificate; the first one that suits it
	// is sent. tls.X509KeyPair makes one of PEM, package p12 one of PKCS#12.
	Certificates []tls.Certificate

	// CertFile and KeyFile name PEM files with one more such certificate: its chain and its key.
	// Every dial reads them again, so they may be renewed.
	CertFile, KeyFile string

	// Pins are SHA-256 digests of public keys (SubjectPublicKeyInfo, as in Certificate.SPKI). One
	// of them must be in the verified chain. Give at least two: the second is the backup for the
	// day on which the first key is lost.
	Pins [][sha256.Size]byte

	// ECHConfigList encrypts the server's name on the way (Encrypted Client Hello). The value is in
	// the host's DNS record HTTPS. TLS is then at least 1.3. If the server cannot decrypt the name,
	// the dial fails with a cause of type [tls.ECHRejectionError], which may hold a newer list.
	ECHConfigList []byte

	// NoSNI sends no name. The name in the certificate is verified nevertheless.
	NoSNI bool

	// NoResumption makes every dial a full handshake.
	NoResumption bool

	// InsecureSkipTLSVerify accepts any certificate: whoever is on the way can read and change
	// everything. With Pins, the server's own key must be one of them.
	InsecureSkipTLSVerify bool

	// InsecureKeyLogWriter gets the secrets of each connection, with which Wireshark decrypts it.
	InsecureKeyLogWriter io.Writer

	// Base is the config to which all of this is added, for settings that have no field here. Its
	// ServerName is the name to verify if that is not the host. Insecure settings in it are
	// refused.
	Base *tls.Config

	once     sync.Once
	sessions tls.ClientSessionCache
}

// defaultTLS is used for nil.
var defaultTLS TLSOptions

// A tlsConfig is for one handshake. It records what may explain a failure.
type tlsConfig struct {
	tls    *tls.Config
	asked  bool // the server asked for a client certificate
	offers bool // there is a client certificate to send
	sent   bool // it was sent
}

// config returns what a handshake with host needs, or an error that says what is wrong with o. The
// error's text needs no prefix.
func (o *TLSOptions) config(host string) (*tlsConfig, error) {
	if o == nil {
		o = &defaultTLS
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	conf := o.Base.Clone()
	if conf == nil {
		conf = new(tls.Config)
	}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	conf.NextProtos = []string{"http/1.1"} // there is no upgrade in HTTP/2
	conf.KeyLogWriter = o.InsecureKeyLogWriter
	conf.InsecureSkipVerify = o.InsecureSkipTLSVerify
	if err := o.addRoots(conf); err != nil {
		return nil, err
	}
	if o.ECHConfigList != nil {
		conf.EncryptedClientHelloConfigList = o.ECHConfigList
	}
	if conf.EncryptedClientHelloConfigList != nil {
		conf.MinVersion = tls.VersionTLS13
	}
	o.addSessions(conf, conf.ServerName)
	o.addVerification(conf)
	c := &tlsConfig{tls: conf}
	return c, o.addCertificates(c)
}

func (o *TLSOptions) check() error {
	switch {
	case o.Base != nil && o.Base.InsecureSkipVerify:
		return errors.New("TLSOptions.Base has InsecureSkipVerify: if anybody may read and change everything, set InsecureSkipTLSVerify")
	case o.Base != nil && o.Base.KeyLogWriter != nil:
		return errors.New("TLSOptions.Base has a KeyLogWriter: to give the secrets away, set InsecureKeyLogWriter")
	case o.Base != nil && insecureSuite(o.Base.CipherSuites) != "":
		return errors.New("TLSOptions.Base has an insecure cipher suite: " + insecureSuite(o.Base.CipherSuites))
	case o.ECHConfigList != nil && len(o.ECHConfigList) == 0:
		return errors.New("TLSOptions.ECHConfigList is empty: without a list leave it nil, and the server's name is sent in the clear")
	case o.NoSNI && (o.ECHConfigList != nil || o.Base != nil && o.Base.EncryptedClientHelloConfigList != nil):
		return errors.New("TLSOptions has both NoSNI and ECHConfigList: ECH hides the name already")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("TLSOptions needs both CertFile and KeyFile")
	case len(o.Pins) == 1, len(o.Pins) > 1 && !differ(o.Pins):
		return errors.New("TLSOptions.Pins needs a backup: the digest of a second key, kept elsewhere, for the day on which the first one is lost")
	}
	return nil
}

func insecureSuite(ids []uint16) string {
	for _, suite := range tls.InsecureCipherSuites() {
		if slices.Contains(ids, suite.ID) {
			return suite.Name
		}
	}
	return ""
}

func differ(pins [][sha256.Size]byte) bool {
	for _, pin := range pins[1:] {
		if pin != pins[0] {
			return true
		}
	}
	return false
}

// addRoots reads every certificate, so that a malformed one shows here and not when it is needed.
func (o *TLSOptions) addRoots(conf *tls.Config) error {
	if len(o.RootsPEM) == 0 {
		return nil
	}
	roots := x509.NewCertPool()
	if o.SystemRoots {
		system, err := x509.SystemCertPool()
		if err != nil {
			return errors.New("the system's root certificates cannot be read")
		}
		roots = system
	}
	found := 0
	for rest := o.RootsPEM; ; found++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if found == 0 || len(bytes.TrimSpace(rest)) > 0 && bytes.Contains(rest, []byte("-----BEGIN")) {
				return errors.New("TLSOptions.RootsPEM cannot be read: it should be lines from -----BEGIN CERTIFICATE----- on")
			}
			break
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return errors.New("TLSOptions.RootsPEM holds something that is no certificate")
		}
		roots.AddCert(root)
	}
	conf.RootCAs = roots
	return nil
}

// addVerification verifies the name if none is sent, and checks the pins in any case, also on
// resumed connections.
func (o *TLSOptions) addVerification(conf *tls.Config) {
	name, roots, clock, more := conf.ServerName, conf.RootCAs, conf.Time, conf.VerifyConnection
	if clock == nil {
		clock = time.Now
	}
	hidden := o.NoSNI && !o.InsecureSkipTLSVerify
	if o.NoSNI {
		conf.ServerName, conf.InsecureSkipVerify = "", true
	}
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		chains := s.VerifiedChains
		if hidden {
			opts := x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: clock()}
			var err error
			if chains, err = verifyChain(s.PeerCertificates, opts); err != nil {
				return err
			}
		}
		if err := checkStrength(s, chains, clock()); err != nil {
			return err
		}
		if len(o.Pins) > 0 && !o.pinned(chains, s.PeerCertificates) {
			return ErrPin
		}
		if more != nil {
			return more(s)
		}
		return nil
	}
}

// verifyChain verifies as crypto/tls does if a name is sent.
func verifyChain(peer []*x509.Certificate, opts x509.VerifyOptions) ([][]*x509.Certificate, error) {
	opts.Intermediates = x509.NewCertPool()
	for _, c := range peer[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := peer[0].Verify(opts)
	if err != nil {
		return nil, &tls.CertificateVerificationError{UnverifiedCertificates: peer, Err: err}
	}
	return chains, nil
}

// pinned reports whether a pinned key is in a verified chain. If nothing was verified, only the
// server's own key counts, because anybody can send other people's certificates after their own.
func (o *TLSOptions) pinned(chains [][]*x509.Certificate, peer []*x509.Certificate) bool {
	if o.InsecureSkipTLSVerify {
		chains = [][]*x509.Certificate{peer[:1]}
	}
	for _, chain := range chains {
		for _, c := range chain {
			digest := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			for _, pin := range o.Pins {
				if pin == digest {
					return true
				}
			}
		}
	}
	return false
}

func (o *TLSOptions) addSessions(conf *tls.Config, name string) {
	o.once.Do(func() { o.sessions = tls.NewLRUClientSessionCache(sessionsKept) })
	switch {
	case o.NoResumption:
		conf.ClientSessionCache = nil
	case conf.ClientSessionCache == nil:
		conf.ClientSessionCache = o.sessions
	}
	if o.NoSNI && conf.ClientSessionCache != nil {
		conf.ClientSessionCache = namedSessions{conf.ClientSessionCache, name}
	}
}

// namedSessions keeps sessions under a name that is not sent. crypto/tls would keep them by
// address, which may be a proxy's.
type namedSessions struct {
	tls.ClientSessionCache
	name string
}

// Get is described at [tls.ClientSessionCache].
func (s namedSessions) Get(string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get(s.name)
}

// Put is described at [tls.ClientSessionCache].
func (s namedSessions) Put(_ string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put(s.name, state)
}

// addCertificates chooses a certificate as crypto/tls does, and records what happened.
func (o *TLSOptions) addCertificates(c *tlsConfig) error {
	own := append(o.Certificates[:len(o.Certificates):len(o.Certificates)], c.tls.Certificates...)
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return errors.New("the client certificate cannot be loaded: " + safetext.Line(err.Error(), shownTarget))
		}
		own = append(own, pair)
	}
	choose := c.tls.GetClientCertificate
	c.offers = choose != nil || len(own) > 0
	c.tls.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked = true
		if choose != nil {
			chosen, err := choose(r)
			c.sent = err == nil && len(chosen.Certificate) > 0
			return chosen, err
		}
		for i := range own {
			if r.SupportsCertificate(&own[i]) == nil {
				c.sent = true
				return &own[i], nil
			}
		}
		return new(tls.Certificate), nil
	}
	return nil
}
