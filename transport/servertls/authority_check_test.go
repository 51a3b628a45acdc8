//go:build !js

package servertls

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// A client that claims to be an authority sees the certificate for authorities. It gets no
// connection without the client certificate that every client needs.
func TestAnAuthorityIsNoClient(t *testing.T) {
	ca := newAuthority()
	files := newFolder(t)
	one := ca.issue(named("chat.example.com"))
	challenge := must(tls.X509KeyPair(one.cert, one.key))
	w := watch(t, Options{ClientCAs: files.write("ca.pem", ca.pem()),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &challenge, nil }})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l := must(net.Listen("tcp", "127.0.0.1:0"))
		ended := make(chan error, 1)
		go func() {
			raw, err := l.Accept()
			if err == nil {
				defer raw.Close()
				err = tls.Server(raw, w.TLSConfig()).Handshake()
			}
			ended <- err
		}()
		raw := must(net.Dial("tcp", l.Addr().String()))
		raw.SetDeadline(time.Now().Add(10 * time.Second))
		client := tls.Client(raw, &tls.Config{ServerName: "chat.example.com", NextProtos: []string{acmeProtocol}, InsecureSkipVerify: true, MaxVersion: version})
		err := client.Handshake()
		if s := client.ConnectionState(); version == tls.VersionTLS13 && (err != nil || len(s.PeerCertificates) == 0 || s.NegotiatedProtocol != acmeProtocol) {
			t.Errorf("%x: the authority does not see it: %v", version, err)
		}
		if err := <-ended; err == nil {
			t.Errorf("%x: the server has a connection without a client certificate", version)
		}
		raw.Close()
		l.Close()
	}
}
