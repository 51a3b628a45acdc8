package transport

import (
	"slices"
	"time"
)

// Info describes a link. It holds no credentials and may be logged; the parts that the peer chose
// are safe to show.
type Info struct {
	Kind   string // "pipe", "ws", or "wss" (with TLS); for an accepted connection, the kind of the client's own link
	Local  string // our address, if known
	Remote string // the address of the next hop, which may be a proxy; in browsers the host that was dialled

	Proxy       string // for a dialled connection: scheme and host of the proxy, if there is one
	Subprotocol string // what both ends agreed on, if anything

	Client string // for an accepted connection: the client's IP address, as trusted hops pass it on; without them that of Remote
	Origin string // for an accepted connection: the origin of the browser's page, if it sent one

	Principal string    // for an accepted connection: whom the client acts for, by Authenticate
	Expires   time.Time // for an accepted connection: when the first grant ends; zero means never

	// TLS describes the TLS with the next hop. That is not the other end if something on the way
	// terminates TLS. It is nil without TLS, and in browsers, which do not tell.
	TLS *TLSInfo
}

// TLSInfo describes the TLS of one hop.
type TLSInfo struct {
	Version     string // such as "TLS 1.3"
	CipherSuite string // such as "TLS_AES_128_GCM_SHA256"
	Curve       string // such as "X25519MLKEM768"; empty for RSA key exchange
	ALPN        string // the protocol inside that both ends agreed on, such as "http/1.1", if any
	Resumed     bool   // the peer proved its identity on an earlier connection
	ServerName  string // the name that the client asked for, if any
	ECH         bool   // ServerName was encrypted on the way (Encrypted Client Hello)

	// Peer is the chain that the peer sent, its own certificate first. It is empty if the peer sent
	// none.
	Peer []Certificate

	binding *[32]byte // a pointer, so that printing the struct does not show it
}

// A Certificate holds what people want to know of an X.509 certificate. Foreign text in it is safe
// to show.
type Certificate struct {
	Subject, Issuer     string
	Names               []string // the DNS names and IP addresses that it is for
	NotBefore, NotAfter time.Time
	Fingerprint         [32]byte // SHA-256 of the certificate
	SPKI                [32]byte // SHA-256 of its public key (RFC 7469, section 2.4), as in pins
}

// ChannelBinding returns 32 bytes that only the two ends of this TLS connection know (the exporter
// of RFC 9266, section 4.1). If something on the way terminates TLS, the two ends get different
// bytes. It returns nil if there is neither TLS 1.3 nor the extended master secret.
func (t *TLSInfo) ChannelBinding() []byte {
	if t == nil || t.binding == nil {
		return nil
	}
	return slices.Clone(t.binding[:])
}
