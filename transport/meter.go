//go:build !js

package transport

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxPiece bounds one write of a meter to the socket, in bytes. A piece shows that the peer takes
// what is sent only when all of it is written.
const maxPiece = 64 << 10

// A meter is a Gate's view of one client, from its request on. When the connection opens, the meter
// becomes its socket, where it counts and slows down. Methods that other files call do nothing on a
// nil meter, which means that there is no Gate.
type meter struct {
	net.Conn
	gate    *Gate
	client  string // the address that events show
	block   string // the client's block of addresses; "" if unknown
	arrived time.Duration

	traffic traffic
	sending atomic.Int32 // Writes to the socket under way
	pausing atomic.Bool  // Read waits for the ByteRate

	messages account // only the one goroutine that reads uses these two
	bytes    account

	once   sync.Once
	closed chan struct{}

	seen      progress
	concluded bool // guarded by gate.mu
}

// traffic counts what has passed on a connection.
type traffic struct {
	bytesIn, bytesOut, messagesIn, messagesOut atomic.Int64
}

func newMeter(g *Gate, client string) *meter {
	return &meter{gate: g, client: client, block: blockOf(client), arrived: g.now(), closed: make(chan struct{})}
}

// Read reads from the socket. First it waits until ByteRate has made up for earlier bytes.
func (m *meter) Read(p []byte) (int, error) {
	rate := m.gate.opts.ByteRate
	if !rate.limits() {
		n, err := m.Conn.Read(p)
		m.traffic.bytesIn.Add(int64(n))
		return n, err
	}
	if m.bytes.owing {
		m.pausing.Store(true)
		m.pause(context.Background(), m.bytes.debt(m.gate.now(), 0, rate))
		m.pausing.Store(false)
	}
	n, err := m.Conn.Read(p)
	m.traffic.bytesIn.Add(int64(n))
	m.bytes.pay(m.gate.now(), n, rate)
	return n, err
}

// Write writes to the socket in pieces.
func (m *meter) Write(p []byte) (n int, err error) {
	m.sending.Add(1)
	defer m.sending.Add(-1)
	for {
		k, err := m.Conn.Write(p[n:min(len(p), n+maxPiece)])
		m.traffic.bytesOut.Add(int64(k))
		if n += k; err != nil || n == len(p) {
			return n, err
		}
	}
}

// Close closes the socket and wakes a waiting Read.
func (m *meter) Close() error {
	m.once.Do(func() { close(m.closed) })
	return m.Conn.Close()
}

// pause waits, unless the connection or ctx ends.
func (m *meter) pause(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	m.gate.pauses.Add(1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.closed:
	case <-ctx.Done():
	}
}

// awaitTurn waits until MessageRate has made up for earlier messages. It runs before each message
// is read.
func (m *meter) awaitTurn(ctx context.Context) {
	if m != nil && m.messages.owing {
		m.pause(ctx, m.messages.debt(m.gate.now(), 0, m.gate.opts.MessageRate))
	}
}

// received counts a message from the client.
func (m *meter) received() {
	if m == nil {
		return
	}
	m.traffic.messagesIn.Add(1)
	if rate := m.gate.opts.MessageRate; rate.limits() {
		m.messages.pay(m.gate.now(), 1, rate)
	}
}

// sent counts a message to the client.
func (m *meter) sent() {
	if m != nil {
		m.traffic.messagesOut.Add(1)
	}
}

// heard returns how many bytes have come in, and whether Read pauses for ByteRate.
func (m *meter) heard() (bytes int64, pausing bool) {
	if m == nil {
		return 0, false
	}
	return m.traffic.bytesIn.Load(), m.pausing.Load()
}

// opened records that the client has its connection.
func (m *meter) opened(c *wsConn) {
	if m != nil {
		m.gate.opened(m, c)
	}
}

// refused records that Accept returned without a connection.
func (m *meter) refused(status int) {
	if m == nil {
		return
	}
	m.gate.conclude(m, ConnEvent{Outcome: string(outcomeOfStatus(status)), Status: status}, true)
}

// ended records that the connection has ended.
func (m *meter) ended(why *CloseError) {
	if m == nil {
		return
	}
	m.gate.conclude(m, ConnEvent{Outcome: string(outcomeOf(why)), Status: http.StatusSwitchingProtocols, Code: why.Code}, true)
}
