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

	// Names lists what the certificate has to be good for: DNS names and IP
	// addresses that clients dial. A certificate that lacks one is refused. None
	// means that any will do.
	Names []string
}

// Options says what a server shows and asks for. Certificates are required, all
// else has a default.
type Options struct {
	// Pairs are the certificates. The first one that fits a client, by the name
	// that it asks for and by the algorithms that it knows, is shown; if none
	// does, the first of all. So one name may have an ECDSA and an RSA one.
	Pairs []Pair

	// GetCertificate is asked when none of Pairs fits, which may be empty then. If
	// it fails, so does the handshake: after ErrUnknownName the client learns that
	// the name is wrong, after another error that it may try again. It may take its
	// time, and is called by many at once; once a day, and before a warning, it is
	// asked what it would show, by a hello with neither Conn nor Context. Package acme, below this one, has it from an ACME
	// authority such as Let's Encrypt.
	//
	// An authority that checks by tls-alpn-01 (RFC 8737) has no client certificate
	// and need not show one. Its connections agree on the protocol acme-tls/1,
	// which http.Server closes at once; another kind of server has to do the same.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Certificates lists what GetCertificate would show now, without waiting. Warnings
	// and Expiries come from it. Nil means that they come from what was shown.
	Certificates func() []*tls.Certificate

	// ClientCAs is a PEM file of the authorities whose client certificates are
	// accepted. Given one, clients without a certificate are refused. The
	// system's authorities never count. Empty means that none is asked for.
	ClientCAs string

	// ClientCertOptional lets clients in that show no certificate. One that is
	// shown has to be good all the same.
	ClientCertOptional bool

	// TicketSecret makes nodes that share it resume each other's sessions, see
	// the package's documentation. Without it, or with TicketFile, which is the
	// other way to give it, each server has keys of its own, which nobody knows
	// and which crypto/tls changes daily.
	TicketSecret *TicketSecret

	// TicketFile holds up to four secrets as lines of standard base64, 32 bytes
	// each. New tickets are made with the first; those of all are accepted. Empty
	// lines and lines that begin with # are left out.
	TicketFile string

	// TicketPeriod is how long a shared secret makes tickets with one key. They
	// are accepted for one to two periods. The nodes must agree on it. Zero means
	// 12 hours; a minute is the least, 84 hours the most.
	TicketPeriod time.Duration

	// HTTP2 offers h2 beside http/1.1, for the handlers that profit. A WebSocket
	// needs http/1.1: browsers and transport.Dial ask for that alone, but a client
	// that prefers h2 for everything cannot open one on such a server.
	HTTP2 bool

	// Interval is the time between looks at the files. Zero means 10 seconds.
	Interval time.Duration

	// Notify is told what happens, one event after the other. It is called by
	// whatever looks at the files: the next look waits for it, handshakes do not.
	// It must not call Reload or Close. Nil means that nobody is told.
	Notify func(Event)

	// Logger gets the same, where the level is Error for what needs somebody to
	// act now. Nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultInterval = 10 * time.Second

	// settle is the time until a second look at what has just changed.
	settle = time.Second

	defaultTicketPeriod = 12 * time.Hour
	minTicketPeriod     = time.Minute
	maxTicketPeriod     = 84 * time.Hour // crypto/tls accepts no ticket above a week
)

// withDefaults returns a copy.
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
