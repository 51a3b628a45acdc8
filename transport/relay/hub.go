//go:build !js

package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
	"github.com/hopseal/hopseal/internal/ration"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

var (
	errFull     = errors.New("relay: as many connections as it may have")
	errAddress  = errors.New("relay: as many connections as one address may have")
	errStopping = errors.New("relay: stopping")
)

// A Hub is a relay. It is an http.Handler that accepts WebSocket connections.
type Hub struct {
	opts    Options
	stalls  *stalls
	rations ration.Ration

	mu     sync.Mutex // guards what follows, and every topic, seat and port.seats
	topics map[string]*topic
	ports  map[*port]bool // the connections
	closed bool

	running sync.WaitGroup // counts the ports
}

// New returns a Hub.
func New(opts Options) *Hub {
	opts = opts.withDefaults()
	return &Hub{opts: opts, stalls: newStalls(opts.MaxStall), topics: make(map[string]*topic), ports: make(map[*port]bool)}
}

// ServeHTTP takes a connection over and returns. It answers 403 for a foreign origin or a link
// without TLS, 503 if the hub or the client's share of it is full or the hub is stopping, and 426
// for anything but a WebSocket handshake.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	opts := h.opts.accept()
	p, err := h.admit(transport.ClientAddr(r, opts.TrustedHops))
	if err != nil {
		w.Header().Set("Retry-After", "5")
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // as Accept does
		}
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		h.logRationed(slog.LevelWarn, "connection refused", transport.ClientAddr(r, opts.TrustedHops), err.Error(), err)
		return
	}
	var conn transport.Conn
	defer func() {
		if conn == nil { // refused, or the application's Authenticate panicked
			h.vacate(p)
		}
	}()
	if conn, err = transport.Accept(w, r, opts); err != nil {
		h.logRationed(slog.LevelWarn, "connection refused", transport.ClientAddr(r, opts.TrustedHops), kindOf(err), err)
		return
	}
	go func() { h.ended(conn, p.run(conn)) }()
}

// logRationed logs, at a limited rate, what clients can cause at will, see Options.Logger.
func (h *Hub) logRationed(level slog.Level, text, client, kind string, err error) {
	if count := h.rations.Take(text+kind, time.Now()); count > 0 {
		h.opts.Logger.LogAttrs(context.Background(), level, text, slog.String("client", client),
			slog.String("error", safetext.Line(err.Error(), maxShown)), slog.Int("count", count))
	}
}

// kindOf returns the status by which Accept refused, so that each is logged separately.
func kindOf(err error) string {
	if no := new(transport.AcceptError); errors.As(err, &no) {
		return http.StatusText(no.Status)
	}
	return ""
}

// maxShown bounds how much of an error is logged, in characters.
const maxShown = 300

// ended logs a connection that the hub has cut.
func (h *Hub) ended(conn transport.Conn, why error) {
	for _, own := range []error{errFrame, errIdle, errSlow, transport.ErrTooLarge} {
		if errors.Is(why, own) {
			h.logRationed(slog.LevelInfo, "connection cut", cmp.Or(conn.Info().Client, conn.Info().Remote), own.Error(), own)
		}
	}
}

// ServeConn serves one connection until it ends, and returns why it ended. It is for links that do
// not come as HTTP requests.
func (h *Hub) ServeConn(conn transport.Conn) error {
	p, err := h.admit(cmp.Or(conn.Info().Client, conn.Info().Remote))
	if err != nil {
		conn.Close(transport.CodeTryLater, err.Error())
		h.logRationed(slog.LevelWarn, "connection refused", cmp.Or(conn.Info().Client, conn.Info().Remote), err.Error(), err)
		return err
	}
	err = p.run(conn)
	h.ended(conn, err)
	return err
}

// Shutdown refuses new connections, closes the others and returns when all have ended. If ctx ends
// first, it cuts those that are left and returns the error of ctx.
func (h *Hub) Shutdown(ctx context.Context) error {
	for _, p := range h.stop() {
		go p.goAway()
	}
	ended := make(chan struct{})
	go func() { defer close(ended); h.running.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, p := range h.stop() {
		p.cut(errStopping)
	}
	<-ended
	return ctx.Err()
}

// stop makes the hub refuse everybody, and returns its connections.
func (h *Hub) stop() (ports []*port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for p := range h.ports {
		ports = append(ports, p)
	}
	return ports
}

// admit registers a connection from an address, if there is room.
func (h *Hub) admit(remote string) (*port, error) {
	address := netblock.Of(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errStopping
	case len(h.ports) == h.opts.MaxConns:
		return nil, errFull
	case address != "" && h.countFrom(address) >= h.opts.MaxConnsPerAddress:
		return nil, errAddress
	}
	p := newPort(h, address)
	h.ports[p] = true
	h.running.Add(1)
	return p, nil
}

// countFrom returns how many connections an address has.
func (h *Hub) countFrom(address string) (n int) {
	for p := range h.ports {
		if p.address == address {
			n++
		}
	}
	return n
}

// vacate removes a connection that has ended, and its seats.
func (h *Hub) vacate(p *port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.cut(nil)
	p.idle.Stop()
	for _, s := range p.seats {
		h.leave(s)
	}
	delete(h.ports, p)
	h.running.Done()
}
