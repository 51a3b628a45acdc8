//go:build !js

package hostile

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Script is what a hop does to one link. A nil Fault changes nothing. It works on
// bytes; see [Frames] for messages.
type Script struct {
	FromClient, ToClient Fault
}

// Frames returns a Script that works on the messages of a WebSocket.
func Frames(fromClient, toClient Fault) Script {
	return Script{onMessages(fromClient, true), onMessages(toClient, false)}
}

// Seeded returns a plan for [Listen] that depends only on seed and on the link's number.
func Seeded(seed uint64, pick func(rng *rand.Rand) Script) func(n int) Script {
	return func(n int) Script { return pick(rand.New(rand.NewPCG(seed, uint64(n)))) }
}

// A Proxy is a hop in front of a server, over real sockets.
type Proxy struct {
	listener net.Listener
	target   string
	plan     func(n int) Script
	life     context.Context // Close ends it
	end      context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	count int
	links map[*link]struct{}
}

// Listen starts a hop on loopback that connects everybody to target: host:port, or a URL,
// of which it uses only that. The hop speaks TCP and no TLS. It calls plan for each link,
// numbered from 0. A nil plan changes nothing. The hop ends with the test.
func Listen(t testing.TB, target string, plan func(n int) Script) *Proxy {
	t.Helper()
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		target = u.Host
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if plan == nil {
		plan = func(int) Script { return Script{} }
	}
	p := &Proxy{listener: l, target: target, plan: plan, links: map[*link]struct{}{}}
	p.life, p.end = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Addr returns host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns a ws:// URL of the hop.
func (p *Proxy) URL() string { return "ws://" + p.Addr() + "/" }

// Links returns how many links there have been, and how many there are.
func (p *Proxy) Links() (all, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, len(p.links)
}

// CutAll ends all links.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.end(false)
	}
}

// Close ends the hop, and waits until all its goroutines have ended. It may be called twice.
func (p *Proxy) Close() {
	p.listener.Close()
	p.end()
	p.CutAll()
	p.running.Wait()
}

// accept calls plan itself, so that clients get the scripts in the order in which they
// connect.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		script := p.plan(p.number())
		p.running.Go(func() { p.serve(client, script) })
	}
}

func (p *Proxy) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	return p.count - 1
}

func (p *Proxy) serve(client net.Conn, script Script) {
	server, err := new(net.Dialer).DialContext(p.life, "tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	l := &link{done: make(chan struct{})}
	l.ends = [2]*end{{Conn: client}, {Conn: server}}
	p.add(l)
	defer p.remove(l)
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.ends[0], l.ends[1], script.FromClient) })
	both.Go(func() { l.pump(l.ends[1], l.ends[0], script.ToClient) })
	both.Wait()
}

// add lets CutAll know of a link, unless the hop is closed.
func (p *Proxy) add(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	if p.life.Err() != nil {
		l.end(false)
	}
}

func (p *Proxy) remove(l *link) {
	l.end(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// A link is one connection through a hop.
type link struct {
	ends [2]*end
	once sync.Once
	done chan struct{} // closed when it is over

	mu             sync.Mutex // guards what follows
	ended, stalled int        // how many directions
	late           bool       // a sender is gone whose last piece the receiver gets later
}

// An end is a socket that both directions may write to.
type end struct {
	net.Conn
	writing sync.Mutex
}

func (e *end) write(b []byte) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	_, err := e.Conn.Write(b)
	return err
}

// end closes both sockets, with a TCP reset if reset is set.
func (l *link) end(reset bool) {
	l.once.Do(func() {
		close(l.done)
		for _, e := range l.ends {
			if tcp, ok := e.Conn.(*net.TCPConn); ok && reset {
				tcp.SetLinger(0)
			}
			e.Close()
		}
	})
}

// count counts directions that have ended or stalled. It ends the link if one has ended
// and the other has ended or stalled, since nobody else would notice. A link that stalls
// both ways stays.
func (l *link) count(ended, stalled int) {
	l.mu.Lock()
	l.ended, l.stalled = l.ended+ended, l.stalled+stalled
	over := l.ended > 0 && l.ended+l.stalled == 2
	l.mu.Unlock()
	if over {
		l.end(false)
	}
}

// pump moves the bytes of one direction.
func (l *link) pump(from, to *end, f Fault) {
	if f == nil {
		f = Pass
	}
	d := &direction{link: l, from: from, to: to}
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			f(d, append([]byte(nil), buf[:n]...))
		}
		if err == io.EOF {
			break
		}
		if err != nil && l.lates() { // the other direction ends with its first piece
			l.count(1, 0)
			return
		}
		if err != nil { // passes a reset on as a reset
			l.end(true)
			return
		}
	}
	if tcp, ok := to.Conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
	l.count(1, 0)
}

// A direction is the [Path] of a Fault on bytes.
type direction struct {
	*link
	from, to *end
	stalled  bool
}

func (d *direction) Send(b []byte) {
	if len(b) > 0 && d.to.write(b) != nil {
		d.end(false)
	}
}

func (d *direction) Back(b []byte) {
	if len(b) > 0 && d.from.write(b) != nil {
		d.end(false)
	}
}

func (d *direction) Part(b []byte, n int) { d.Send(b[:n]) }
func (d *direction) Cut()                 { d.end(false) }
func (d *direction) Reset()               { d.end(true) }

func (d *direction) Stall() {
	if !d.stalled {
		d.stalled = true
		d.count(0, 1)
	}
	<-d.done
}

func (d *direction) Late(piece []byte, wait time.Duration) {
	d.mu.Lock()
	d.late = true
	d.mu.Unlock()
	d.from.Close()
	d.Pause(wait)
	d.Send(piece)
}

// lates reports whether a sender is gone whose last piece the receiver gets later.
func (l *link) lates() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late
}

func (d *direction) Pause(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.done:
	}
}
