//go:build !js

package relay

import (
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// Options limits a [Hub]. The zero value of each field means its default.
type Options struct {
	MaxMessage  int // largest frame accepted, in bytes: the payload with its topic and up to 12 bytes. Default 256 KiB
	MaxConns    int // connections at a time. Default 1,024
	MaxTopics   int // topics that one connection may be in. Default 16
	MaxMembers  int // members of one topic. Default 64; names and presence together also stay below 768 KiB
	MaxQueued   int // frames that wait to be sent to one connection. Default 1,024
	QueuedBytes int // the same in bytes. Default 2 MiB

	// MaxConnsPerAddress is how many connections one IPv4 address or one IPv6 /64
	// may have at a time. Default 64. Behind a proxy all clients have the proxy's
	// address: list the proxy in TrustedHops of Accept, or set this to MaxConns
	// and let the proxy bound the connections of each address.
	MaxConnsPerAddress int

	// Accept says whom to let in, and how: Sealed or Policy for links without TLS, TrustedHops and
	// so on. Nil means its zero value. MaxMessage, Origins and KeepAlive of these Options override
	// those in Accept.
	Accept *transport.AcceptOptions

	// Origins lists the origins whose pages may connect beside the server's own,
	// see transport.AcceptOptions.
	Origins []string

	// KeepAlive is the time between pings, which detect dead clients. Default 25 seconds.
	KeepAlive time.Duration

	// WriteTimeout is how long a connection may take to accept one frame. After that it is cut.
	// Default 10 seconds.
	WriteTimeout time.Duration

	// MaxStall is how long the connections of one address together may hold up those who publish. A
	// connection holds them up if more than half of MaxQueued or QueuedBytes is waiting for it and
	// it takes less than 32 KiB a second. A frame being written gets extra time, at 256 KiB a
	// second. When MaxStall is used up, nobody waits for these connections any more, and each is
	// cut when MaxQueued or QueuedBytes is reached. The time comes back within five minutes.
	// Default 500 milliseconds.
	MaxStall time.Duration

	// JoinTimeout is how long a connection may take to join its first topic. After that it is cut.
	// Default 10 seconds.
	JoinTimeout time.Duration

	// Logger logs clients that the hub refuses, and those that it cuts because they break the
	// protocol, join no topic or do not read. For each reason there is at most one line a minute,
	// about the latest client, with their number. "connection refused" has level warn, "connection
	// cut" info. Default slog.Default(); for silence set slog.New(slog.DiscardHandler).
	Logger *slog.Logger

	// Tap, if set, is called with every frame that comes in, unchanged. It must be quick and must
	// neither keep nor change the frame. Many goroutines may call it at once.
	Tap func(frame []byte)
}

// maxRoster bounds a topic's list of members, in bytes, so that it fits into the largest message
// that a client accepts by default (transport.DefaultMaxMessage).
const maxRoster = 768 << 10

func (o Options) withDefaults() Options {
	for _, field := range []struct {
		value    *int
		standard int
	}{
		{&o.MaxMessage, 256 << 10},
		{&o.MaxConns, 1024},
		{&o.MaxConnsPerAddress, 64},
		{&o.MaxTopics, 16},
		{&o.MaxMembers, 64},
		{&o.MaxQueued, 1024},
		{&o.QueuedBytes, 2 << 20},
	} {
		if *field.value <= 0 {
			*field.value = field.standard
		}
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.MaxStall <= 0 {
		o.MaxStall = 500 * time.Millisecond
	}
	if o.JoinTimeout <= 0 {
		o.JoinTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o Options) accept() *transport.AcceptOptions {
	opts := new(transport.AcceptOptions)
	if o.Accept != nil {
		*opts = *o.Accept
	}
	opts.MaxMessage, opts.Origins, opts.KeepAlive = o.MaxMessage, o.Origins, o.KeepAlive
	return opts
}
