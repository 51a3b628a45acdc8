//go:build !js

package servertls

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// A Pair names the files of one certificate. Both are PEM; they may be the same.
type Pair struct {
	Cert string // the server's certificate first, then the intermediate ones
	Key  string // its private key

	// Names lists the DNS names and IP addresses that clients dial. A certificate
	// that lacks one of them is refused. Empty accepts any certificate.
	Names []string
}

// Options says which certificates a server shows and which ones it asks for. Pairs or
// GetCertificate is required; everything else has a default.
type Options struct {
	// Pairs are the certificates. The server shows the first one that fits the name
	// that the client asks for and the algorithms that it knows. If none fits, it
	// shows the first. So one name may have both an ECDSA and an RSA certificate.
	Pairs []Pair

	// GetCertificate returns a certificate when none of Pairs fits. With it, Pairs may
	// be empty. If it fails, the handshake fails: after ErrUnknownName the client
	// learns that the name is wrong, after another error that it may try again.
	// GetCertificate may be slow, and many goroutines call it at once. Once a day, and
	// before a warning, the Watcher calls it to learn what it would show now: that
	// hello has no Conn and no Context. Package acme, below this one, provides a
	// GetCertificate that uses an ACME authority such as Let's Encrypt.
	//
	// An authority that checks by tls-alpn-01 (RFC 8737) has no client certificate
	// and need not show one. Its connections agree on the protocol acme-tls/1.
	// http.Server closes them at once; another kind of server has to do the same.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Certificates returns the certificates that GetCertificate would show now. It must
	// not wait. Warnings and Expiries use it. Nil means that they use what was shown to
	// clients.
	Certificates func() []*tls.Certificate

	// ClientCAs is a PEM file of the authorities whose client certificates the server
	// accepts. With it, the server refuses clients without a certificate. The
	// system's authorities never count. Empty means that the server asks for no
	// client certificate.
	ClientCAs string

	// ClientCertOptional also accepts clients that show no certificate. A certificate
	// that a client shows still has to be good.
	ClientCertOptional bool

	// TicketSecret lets the nodes that share it resume each other's sessions, see the
	// package's documentation. TicketFile is the other way to give secrets. With
	// neither, each server makes keys of its own, which crypto/tls changes daily.
	TicketSecret *TicketSecret

	// TicketFile holds one to four secrets, each a line with 32 bytes in standard
	// base64. The server makes new tickets with the first secret and accepts tickets
	// of all. It skips empty lines and lines that begin with #.
	TicketFile string

	// TicketPeriod is how long the server makes tickets with one key of a shared
	// secret. It accepts a ticket for one to two periods. All nodes must use the same
	// period. Zero means 12 hours; the least is a minute, the most 84 hours.
	TicketPeriod time.Duration

	// HTTP2 offers h2 beside http/1.1, for handlers that profit from it. A WebSocket
	// needs http/1.1: browsers and transport.Dial ask for http/1.1 alone, but a client
	// that always prefers h2 cannot open a WebSocket on such a server.
	HTTP2 bool

	// Interval is the time between two reads of the files. Zero means 10 seconds.
	Interval time.Duration

	// Notify receives events, one after the other. The goroutine that reads the files
	// calls it: the next read waits for it, handshakes do not. It must not call Reload
	// or Close. Nil means that nothing is called.
	Notify func(Event)

	// Logger gets the same events. Their level is Error if somebody has to act now.
	// Nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultInterval = 10 * time.Second

	// confirmAfter is the time between the read that sees a change and the one that confirms it.
	confirmAfter = time.Second

	defaultTicketPeriod = 12 * time.Hour
	minTicketPeriod     = time.Minute
	maxTicketPeriod     = 84 * time.Hour // crypto/tls accepts no ticket above a week
)

// withDefaults returns a copy of o with its defaults filled in, or says what is wrong.
func (o Options) withDefaults() (Options, error) {
	o.Pairs = slices.Clone(o.Pairs)
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.TicketPeriod == 0 {
		o.TicketPeriod = defaultTicketPeriod
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, o.check()
}

func (o *Options) check() error {
	switch {
	case len(o.Pairs) == 0 && o.GetCertificate == nil:
		return errors.New("servertls: there is no certificate: list its files in Pairs, or set GetCertificate")
	case o.Interval < 0:
		return errors.New("servertls: Interval is negative")
	case o.Certificates != nil && o.GetCertificate == nil:
		return errors.New("servertls: Certificates lists what GetCertificate would show: set that too")
	case o.TicketPeriod < minTicketPeriod || o.TicketPeriod > maxTicketPeriod:
		return errors.New("servertls: TicketPeriod has to be between a minute and 84 hours")
	case o.TicketSecret != nil && o.TicketFile != "":
		return errors.New("servertls: TicketSecret and TicketFile are both given: choose one")
	case o.TicketSecret != nil && *o.TicketSecret == TicketSecret{}:
		return errors.New("servertls: TicketSecret is all zero: make one with NewTicketSecret")
	case o.ClientCertOptional && o.ClientCAs == "":
		return errors.New("servertls: ClientCertOptional needs ClientCAs, the file of those who may issue client certificates")
	}
	return nil
}
