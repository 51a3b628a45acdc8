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

// maxPiece is how much a meter hands to the socket at once, in bytes: only whole
// pieces show that the peer takes what is sent.
const maxPiece = 64 << 10

// A meter is a Gate's view of one client, from the request on. Once there is a
// connection it is the socket of that, where it counts and slows down. Those of
// its methods that other files call do nothing for nil, which stands for no Gate.
type meter struct {
	net.Conn
	gate    *Gate
	client  string // as events show it
	block   string // of addresses, that the client belongs to; "" if not known
	arrived time.Duration

	traffic traffic
	sending atomic.Int32 // Writes to the socket under way
	pausing atomic.Bool  // Read waits for the ByteRate

	messages account // one goroutine reads, and has these two
	bytes    account

	once   sync.Once
	closed chan struct{}

	seen      progress
	concluded bool // guarded by gate.mu
}

// traffic is what has passed on a connection.
type traffic struct {
	bytesIn, bytesOut, messagesIn, messagesOut atomic.Int64
}

func newMeter(g *Gate, client string) *meter {
	return &meter{gate: g, client: client, block: blockOf(client), arrived: g.now(), closed: make(chan struct{})}
}

// Read reads from the socket, once what came before is paid for.
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

// Write writes to the socket piece by piece.
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

// Close closes the socket and wakes a Read that waits.
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

// awaitTurn is called before a message is read: it waits until those that came
// before are paid for.
func (m *meter) awaitTurn(ctx context.Context) {
	if m != nil && m.messages.owing {
		m.pause(ctx, m.messages.debt(m.gate.now(), 0, m.gate.opts.MessageRate))
	}
}

// received counts a message.
func (m *meter) received() {
	if m == nil {
		return
	}
	m.traffic.messagesIn.Add(1)
	if rate := m.gate.opts.MessageRate; rate.limits() {
		m.messages.pay(m.gate.now(), 1, rate)
	}
}

// sent counts a message.
func (m *meter) sent() {
	if m != nil {
		m.traffic.messagesOut.Add(1)
	}
}

// heard returns how many bytes have come in, and whether more are left waiting on
// purpose.
func (m *meter) heard() (bytes int64, pausing bool) {
	if m == nil {
		return 0, false
	}
	return m.traffic.bytesIn.Load(), m.pausing.Load()
}

// opened is called when there is a connection.
func (m *meter) opened(c *wsConn) {
	if m != nil {
		m.gate.opened(m, c)
	}
}

// settle is called when Accept returns without a connection.
func (m *meter) settle(status int) {
	if m == nil {
		return
	}
	m.gate.conclude(m, ConnEvent{Outcome: string(outcomeOfStatus(status)), Status: status}, true)
}

// ended is called when the connection has ended.
func (m *meter) ended(why *CloseError) {
	if m == nil {
		return
	}
	m.gate.conclude(m, ConnEvent{Outcome: string(outcomeOf(why)), Status: http.StatusSwitchingProtocols, Code: why.Code}, true)
}
