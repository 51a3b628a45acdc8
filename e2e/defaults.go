package e2e

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// withDefaults returns a copy of c with zero values replaced, or an error that
// says what is missing.
func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	setDefault(&c.MaxMessage, DefaultMaxMessage)
	setDefault(&c.Window, DefaultWindow)
	setDefault(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&c.SendTimeout, DefaultSendTimeout)
	setDefault(&c.MaxAge, DefaultMaxAge)
	setDefault(&c.MaxCalls, DefaultMaxCalls)
	setDefault(&c.MaxSessions, DefaultMaxSessions)
	setDefault(&c.MaxSessionsPerIdentity, DefaultMaxSessionsPerIdentity)
	setDefault(&c.MaxParked, c.MaxSessions)
	setDefault(&c.MaxParkedPerIdentity, c.MaxSessionsPerIdentity)
	setDefault(&c.ParkTimeout, DefaultParkTimeout)
	setDefault(&c.MaxHandshakes, DefaultMaxHandshakes)
	setDefault(&c.MaxHandshakesPerAddress, DefaultMaxHandshakesPerAddress)
	c.asking = make(chan struct{}, max(c.MaxHandshakes, mostOfClient))
	switch {
	case c.Identity == nil:
		return c, errors.New("e2e: Config.Identity is nil: make one with keys.GenerateIdentity, or load it")
	case c.Verifier == nil:
		return c, errors.New("e2e: Config.Verifier is nil: say whom to trust, for instance with trust.Pinned")
	case len(c.Protocol) == 0 || len(c.Protocol) > engine.MaxProtocol:
		return c, errors.New(`e2e: Config.Protocol must have 1 to 255 bytes, such as "billing/2"`)
	case c.Proof > ProofEd25519:
		return c, fmt.Errorf("e2e: Config.Proof is %d, want ProofNone or ProofEd25519", c.Proof)
	case c.MaxMessage < 0 || c.MaxMessage > maxMessageLimit:
		return c, fmt.Errorf("e2e: Config.MaxMessage is %d, want 1 to %d bytes", c.MaxMessage, maxMessageLimit)
	case c.Window < engine.MinWindow || c.Window > engine.MaxWindow:
		return c, fmt.Errorf("e2e: Config.Window is %d, want %d to %d bytes", c.Window, engine.MinWindow, engine.MaxWindow)
	case c.MaxAge < 0 || c.MaxAge > DefaultMaxAge:
		return c, fmt.Errorf("e2e: Config.MaxAge is %v, want at most %v", c.MaxAge, DefaultMaxAge)
	case c.Store != nil && (c.StoreKeys == nil || c.StoreKeys.Primary() == nil):
		return c, errors.New("e2e: Config.StoreKeys is nil: a store needs keys, see keys.GenerateSharedKeyset")
	case c.IdleTimeout < 0 || c.ParkTimeout < 0 || c.MaxParkedPerIdentity < 0 || c.MaxSessionsPerIdentity < 0:
		return c, errors.New("e2e: a limit in Config is negative")
	case c.HandshakeTimeout < 0 || c.SendTimeout < 0 || c.MaxCalls < 0 || c.MaxSessions < 0 || c.MaxHandshakes < 0 || c.MaxHandshakesPerAddress < 0:
		return c, errors.New("e2e: a limit in Config is negative")
	}
	return c, c.checkIdentity()
}

// maxMessageLimit is the largest Config.MaxMessage, in bytes.
const maxMessageLimit = engine.MaxMessageLimit - engine.MaxHeader

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// engine returns who this end is, as it is at one moment, with the key that goes with it:
// an identity may be rotated at any time.
func (c *Config) engine() (engine.Config, keys.Signer) {
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

func (c Config) dialOptions() *transport.DialOptions {
	opts := new(transport.DialOptions)
	if c.Dial != nil {
		*opts = *c.Dial
	}
	opts.MaxMessage = MaxFrame(c.MaxMessage)
	opts.Sealed = true // by the session
	return opts
}
