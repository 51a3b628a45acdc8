package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// Defaults of [Config] and [ServerConfig], and limits.
const (
	defaultMaxMessage       = engine.DefaultMaxMessage
	defaultWindow           = engine.DefaultWindow
	defaultHandshakeTimeout = engine.DefaultHandshakeTimeout

	defaultSendTimeout = time.Minute
	defaultMaxCalls    = 64

	maxMaxAge = 24 * time.Hour

	defaultMaxSessions             = 10_000
	defaultMaxSessionsPerIdentity  = 1_000
	defaultParkTimeout             = 10 * time.Minute
	defaultMaxHandshakes           = 256
	defaultMaxHandshakesPerAddress = 64
)

// A config is what a session needs of its [Config] or [ServerConfig], with defaults filled in.
type config struct {
	*localEnd
	Options
	ParkTimeout time.Duration // of a server
}

// config returns what sessions with the server at an address need of c, or an error that says
// what is missing.
func (c *Config) config(address string) (config, error) {
	own := config{Options: c.Options.withDefaults()}
	own.localEnd = own.end(localEnd{
		Identity: c.Identity, Verifier: c.Verifier, Protocol: c.Protocol, Credentials: c.Credentials,
		want:   trust.Expected{Address: address, Role: trust.RoleServer, Fingerprint: c.PeerFingerprint},
		asking: make(chan struct{}, defaultMaxHandshakes),
	})
	return own, own.check()
}

// config is like [Config.config]. It also fills in c's own defaults.
func (c *ServerConfig) config() (config, error) {
	setDefault(&c.MaxSessions, defaultMaxSessions)
	setDefault(&c.MaxSessionsPerIdentity, defaultMaxSessionsPerIdentity)
	setDefault(&c.MaxParked, c.MaxSessions)
	setDefault(&c.ParkTimeout, defaultParkTimeout)
	setDefault(&c.MaxHandshakes, defaultMaxHandshakes)
	setDefault(&c.MaxHandshakesPerAddress, defaultMaxHandshakesPerAddress)
	own := config{Options: c.Options.withDefaults(), ParkTimeout: c.ParkTimeout}
	own.localEnd = own.end(localEnd{
		Identity: c.Identity, Verifier: c.Verifier, Protocol: c.Protocol, Authenticate: c.Authenticate,
		want:   trust.Expected{Role: trust.RoleClient},
		asking: make(chan struct{}, max(c.MaxHandshakes, clientCalls)),
	})
	if c.ParkTimeout < 0 || c.MaxSessions < 0 || c.MaxSessionsPerIdentity < 0 || c.MaxHandshakes < 0 || c.MaxHandshakesPerAddress < 0 {
		return own, errNegative
	}
	return own, own.check()
}

// maxParkedPerIdentity returns how many sessions of one identity may wait for their clients. The
// identity's share of MaxParked is the same as its share of MaxSessions.
func (c *ServerConfig) maxParkedPerIdentity() int {
	return max(1, int(float64(c.MaxParked)*float64(c.MaxSessionsPerIdentity)/float64(c.MaxSessions)))
}

// end returns e with the options that a local end needs.
func (o *Options) end(e localEnd) *localEnd {
	e.logger, e.maxMessage, e.keepAlive = o.Logger, o.MaxMessage, o.KeepAlive
	e.handshakeTimeout, e.sendTimeout = o.HandshakeTimeout, o.SendTimeout
	return &e
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	setDefault(&o.MaxMessage, defaultMaxMessage)
	setDefault(&o.Window, defaultWindow)
	setDefault(&o.HandshakeTimeout, defaultHandshakeTimeout)
	setDefault(&o.SendTimeout, defaultSendTimeout)
	setDefault(&o.MaxAge, maxMaxAge)
	setDefault(&o.MaxCalls, defaultMaxCalls)
	return o
}

var errNegative = errors.New("e2e: a limit in Config is negative")

// check returns an error that says what is wrong with c, or nil.
func (c *config) check() error {
	switch {
	case c.Identity == nil:
		return errors.New("e2e: Config.Identity is nil: make one with keys.GenerateIdentity, or load it")
	case c.Verifier == nil:
		return errors.New("e2e: Config.Verifier is nil: say whom to trust, for instance with trust.Pinned")
	case len(c.Protocol) == 0 || len(c.Protocol) > engine.MaxProtocol:
		return errors.New(`e2e: Config.Protocol must have 1 to 255 bytes, such as "billing/2"`)
	}
	if err := c.Options.check(); err != nil {
		return err
	}
	return c.checkIdentity()
}

func (o *Options) check() error {
	switch {
	case o.Proof > ProofEd25519:
		return fmt.Errorf("e2e: Config.Proof is %d, want ProofNone or ProofEd25519", o.Proof)
	case o.MaxMessage < 0 || o.MaxMessage > maxMessageLimit:
		return fmt.Errorf("e2e: Config.MaxMessage is %d, want 1 to %d bytes", o.MaxMessage, maxMessageLimit)
	case o.Window < engine.MinWindow || o.Window > engine.MaxWindow:
		return fmt.Errorf("e2e: Config.Window is %d, want %d to %d bytes", o.Window, engine.MinWindow, engine.MaxWindow)
	case o.MaxAge < 0 || o.MaxAge > maxMaxAge:
		return fmt.Errorf("e2e: Config.MaxAge is %v, want at most %v", o.MaxAge, maxMaxAge)
	case o.Store != nil && (o.StoreKeys == nil || o.StoreKeys.Primary() == nil):
		return errors.New("e2e: Config.StoreKeys is nil: a store needs keys, see keys.GenerateSharedKeyset")
	case o.IdleTimeout < 0 || o.HandshakeTimeout < 0 || o.SendTimeout < 0 || o.MaxCalls < 0:
		return errNegative
	}
	return nil
}

// maxMessageLimit is the largest Config.MaxMessage, in bytes.
const maxMessageLimit = engine.MaxMessageLimit - engine.MaxHeader

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// engine returns the engine's Config with this end's present identity, and the signer of exactly that
// identity's key. Since the identity may be rotated at any time, engine reads both until they fit.
func (c *config) engine() (engine.Config, keys.Signer) {
	public := c.Identity.Public()
	_, signer := c.Identity.Signing()
	for again := c.Identity.Public(); again != public; again = c.Identity.Public() {
		public = again
		_, signer = c.Identity.Signing()
	}
	return engine.Config{
		Identity:         public,
		Protocol:         c.Protocol,
		Proof:            engine.Proof(c.Proof),
		MaxMessage:       c.MaxMessage + engine.MaxHeader,
		Window:           c.Window,
		KeepAlive:        c.KeepAlive,
		HandshakeTimeout: c.HandshakeTimeout,
		AllowSelf:        c.AllowSelf,
		Known:            c.Known,
		Stored:           c.Store != nil,
	}, signer
}

func (c *Config) dialOptions() *transport.DialOptions {
	opts := new(transport.DialOptions)
	if c.Dial != nil {
		*opts = *c.Dial
	}
	opts.MaxMessage = MaxFrame(cmp.Or(c.MaxMessage, defaultMaxMessage))
	opts.Sealed = true // by the session
	return opts
}
