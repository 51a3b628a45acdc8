package transport

import (
	"slices"
	"time"
)

// Info describes a link. It holds no credentials and may be logged; the parts
// that the peer chose are safe to show.
type Info struct {
	Kind   string // "pipe", "ws", or "wss": with TLS; for an accepted connection, on the client's own link
	Local  string // our address, if known
	Remote string // the address of the next hop, which may be a proxy; or the host that was dialled

	Proxy       string // for a dialled connection: scheme and host of the proxy on the way, if there is one
	Subprotocol string // what both ends agreed on, if anything

	Client string // for an accepted connection: the client's IP address, which trusted hops may tell; without them that of Remote
	Origin string // for an accepted connection: the origin of the browser's page, if it sent one

	Principal string    // for an accepted connection: whom the client acts for, as Authenticate said
	Expires   time.Time // for an accepted connection: until when, as it was at first; zero means for ever

	// TLS describes the TLS of the next hop, which is not the other end where
	// something on the way terminates it. It is nil without TLS, and in browsers,
	// which do not tell.
	TLS *TLSInfo
}

// TLSInfo describes the TLS of one hop.
type TLSInfo struct {
	Version     string // such as "TLS 1.3"
	CipherSuite string // such as "TLS_AES_128_GCM_SHA256"
	Curve       string // such as "X25519MLKEM768"; empty for the key exchange of RSA
	ALPN        string // the protocol that runs inside, such as "http/1.1", if both agreed on one
	Resumed     bool   // the peer proved its identity on an earlier connection
	ServerName  string // the name that the client asked for, if it did
	ECH         bool   // that name was encrypted on the way (Encrypted Client Hello)

	// Peer is the chain that the peer sent, its own certificate first. It is empty
	// for a client that showed none.
	Peer []Certificate

	binding *[32]byte // behind a pointer, so that nothing prints it
}

// A Certificate is what people ask about an X.509 certificate. Foreign text in
// it is safe to show.
type Certificate struct {
	Subject, Issuer     string
	Names               []string // DNS names and IP addresses that it is for
	NotBefore, NotAfter time.Time
	Fingerprint         [32]byte // SHA-256 of the certificate
	SPKI                [32]byte // SHA-256 of its public key (RFC 7469, section 2.4), what pins name
}

// ChannelBinding returns 32 bytes that only the two ends of this TLS connection
// know, and that differ where something on the way terminates TLS: the exporter of
// RFC 9266, section 4.1. They are nil where there is no TLS 1.3 and no extended
// master secret.
func (t *TLSInfo) ChannelBinding() []byte {
	if t == nil || t.binding == nil {
		return nil
	}
	return slices.Clone(t.binding[:])
}
