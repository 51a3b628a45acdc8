package hostile

import (
	"context"
	"sync"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A Line is a slow line behind a hop that buffers. It takes frames as fast as they come, and
// passes them on at its rate. All its connections share that rate, which holds for each
// direction separately. It works inside testing/synctest.
type Line struct {
	Rate    int           // bytes a second, in each direction
	Latency time.Duration // from a frame's last byte to its arrival
	Buffer  int           // bytes that it holds in each direction; 0: no limit
	Modem   bool          // the next connection waits for what the line holds of one that has ended

	mu      sync.Mutex
	free    [2]time.Time // when what is buffered is through, to the server and to the client
	carried [2]int       // bytes of frames that have arrived
	links   []*slowLink
	mute    [2]bool
}

// slowLink is one connection over a Line. The hop holds one end of each of two pipes.
type slowLink struct {
	line *Line
	ends [2]*transport.PipeConn // the hop's ends, towards client and server
	over chan struct{}
	once sync.Once
	last [2]time.Time // when all that it has in the buffer is through; guarded by the line's mu
}

// A delayed frame arrives at its time. One whose frame is nil ends the connection.
type delayed struct {
	frame []byte
	at    time.Time
}

// Connect returns the two ends of a connection over the line.
func (l *Line) Connect() (client, server *transport.PipeConn) {
	k := &slowLink{line: l, over: make(chan struct{})}
	client, k.ends[0] = transport.Pipe(transport.WithBuffer(1))
	server, k.ends[1] = transport.Pipe(transport.WithBuffer(1))
	l.mu.Lock()
	l.links = append(l.links, k)
	l.mu.Unlock()
	for way := range k.ends {
		queue := make(chan delayed, 1<<16)
		go k.take(way, queue)
		go k.give(way, queue)
	}
	return client, server
}

// Cut ends all connections. What the line has buffered is lost.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.links {
		k.end()
	}
	l.free = [2]time.Time{}
}

// Swallow makes everything vanish that is sent from now on to the server, or to the client, and
// what the line has buffered too. The senders see no difference.
func (l *Line) Swallow(toServer, toClient bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute = [2]bool{toServer, toClient}
}

// Links returns how many connections there have been.
func (l *Line) Links() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.links)
}

// Carried returns how many bytes of frames have arrived at the server, and at the client.
func (l *Line) Carried() (toServer, toClient int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.carried[0], l.carried[1]
}

func (k *slowLink) cut() {
	k.line.mu.Lock()
	defer k.line.mu.Unlock()
	k.end()
}

// end ends the connection. The caller holds the line's mu.
func (k *slowLink) end() {
	k.once.Do(func() { close(k.over) })
	for way, end := range k.ends {
		end.Cut()
		if l := k.line; !l.Modem && l.free[way].Equal(k.last[way]) {
			l.free[way] = time.Time{}
		}
	}
}

// take buffers what comes from one end.
func (k *slowLink) take(way int, queue chan<- delayed) {
	for {
		frame, err := k.ends[way].Read(context.Background(), nil)
		if err != nil {
			queue <- delayed{nil, k.arrival(way, 0)}
			return
		}
		at := k.arrival(way, len(frame))
		queue <- delayed{frame, at}
		if k.line.Buffer > 0 {
			k.sleep(at.Add(-time.Duration(k.line.Buffer) * time.Second / time.Duration(k.line.Rate)))
		}
	}
}

// arrival returns when a frame of n bytes arrives that is sent now.
func (k *slowLink) arrival(way, n int) time.Time {
	l := k.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.free[way].Before(now) {
		l.free[way] = now
	}
	l.free[way] = l.free[way].Add(time.Duration(n) * time.Second / time.Duration(l.Rate))
	k.last[way] = l.free[way]
	return l.free[way].Add(l.Latency)
}

// give passes frames on when they are due.
func (k *slowLink) give(way int, queue <-chan delayed) {
	for next := range queue {
		if !k.sleep(next.at) || next.frame == nil {
			k.cut()
			return
		}
		if k.line.passes(way, len(next.frame)) {
			k.ends[1-way].Write(context.Background(), next.frame)
		}
	}
}

// passes counts a frame and reports true, unless the line swallows the frame.
func (l *Line) passes(way, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mute[way] {
		return false
	}
	l.carried[way] += n
	return true
}

// sleep waits until a time, and reports whether the connection is still there then.
func (k *slowLink) sleep(until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-k.over:
		return false
	}
}
