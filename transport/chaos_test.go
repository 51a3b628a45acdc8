//go:build linux

package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

const (
	chaosClients  = 32
	chaosPace     = 20 * time.Millisecond  // between the messages of a client
	chaosPulse    = 500 * time.Millisecond // between pings, so that stalls are noticed
	chaosPatience = 2 * time.Second        // with a peer that takes nothing
	chaosHeap     = 16 << 20               // bytes that may remain: pools and buffers of the runtime
)

// chaosTime is 30 seconds, and ten minutes where HOPSEAL_LONG_TESTS is set.
func chaosTime() time.Duration {
	switch {
	case os.Getenv("HOPSEAL_LONG_TESTS") != "":
		return 10 * time.Minute
	case testing.Short():
		return 3 * time.Second
	}
	return 30 * time.Second
}

// chaosScript picks what a hop does to one link.
func chaosScript(rng *rand.Rand) hostile.Script {
	at := rng.IntN(100_000)
	var f hostile.Fault
	frames := false
	switch rng.IntN(14) {
	case 0:
		f = hostile.At(at, 1, hostile.Cut)
	case 1:
		f = hostile.At(at, 1, hostile.Reset)
	case 2:
		f = hostile.At(at, 1, hostile.Stall)
	case 3:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Corrupt(rng))
	case 4:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Drop)
	case 5:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Repeat)
	case 6:
		f = hostile.At(at, 1, hostile.Invent([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff")))
	case 7:
		f = hostile.From(at, hostile.Trickle(1000, time.Millisecond))
	case 8:
		f, frames = hostile.Sometimes(20, rng, hostile.Drop), true
	case 9:
		f, frames = hostile.Sometimes(20, rng, hostile.CutWithin), true
	case 10:
		f, frames = hostile.Sometimes(20, rng, hostile.Corrupt(rng)), true
	case 11:
		f, frames = hostile.Reorder(3, rng), true
	case 12:
		f, frames = hostile.Nth(1+rng.IntN(30), hostile.StallWithin), true
	default: // nothing
	}
	life := hostile.From(200_000+rng.IntN(2_000_000), hostile.Cut) // no link lasts, so that there are always new ones
	if frames {
		life = hostile.FromNth(50+rng.IntN(500), hostile.Cut)
	}
	script := hostile.Script{FromClient: f, ToClient: life}
	if rng.IntN(2) == 0 {
		script = hostile.Script{FromClient: life, ToClient: f}
	}
	if frames {
		return hostile.Frames(script.FromClient, script.ToClient)
	}
	return script
}

// A chaosClient keeps a link, sends numbered messages with a sum and wants them back.
type chaosClient struct {
	links, echoes, foreign atomic.Int64
}

// run lives until ctx ends.
func (c *chaosClient) run(ctx context.Context, t *testing.T, url string, rng *rand.Rand) {
	d := redial.New(redial.Policy{
		Base: 5 * time.Millisecond, Cap: 100 * time.Millisecond,
		Decide: func(error) redial.Action { return redial.Retry },
	}, func(ctx context.Context) (transport.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, chaosPatience)
		defer cancel()
		return transport.Dial(ctx, url, &transport.DialOptions{KeepAlive: chaosPulse, Policy: transport.Development})
	})
	conn, err := d.Next(ctx, nil)
	for err == nil {
		c.links.Add(1)
		conn, err = d.Next(ctx, c.use(ctx, t, conn, rng))
	}
	var gone *redial.GaveUpError
	if !errors.As(err, &gone) || gone.Reason != redial.GaveUpContext {
		t.Errorf("a client gave up: %v", err)
	}
}

// use returns the error that ended the connection.
func (c *chaosClient) use(ctx context.Context, t *testing.T, conn transport.Conn, rng *rand.Rand) error {
	defer conn.Close(transport.CodeNormal, "")
	var both sync.WaitGroup
	both.Go(func() {
		pace := time.NewTicker(chaosPace)
		defer pace.Stop()
		for writeSoon(ctx, conn, sealed(rng)) == nil {
			<-pace.C
		}
	})
	var buf []byte
	var err error
	for {
		if buf, err = conn.Read(ctx, buf[:0]); err != nil {
			break
		}
		if intact(buf) {
			c.echoes.Add(1)
		} else {
			c.foreign.Add(1) // the hop changes what it likes: that is what package e2e is for
		}
	}
	both.Wait()
	var closed *transport.CloseError
	if !errors.As(err, &closed) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection ended with %T: %v", err, err)
	}
	return err
}

// writeSoon gives up where nobody takes the message: a Write that waits is no reason
// for a Conn to end.
func writeSoon(ctx context.Context, conn transport.Conn, msg []byte) error {
	ctx, cancel := context.WithTimeout(ctx, chaosPatience)
	defer cancel()
	return conn.Write(ctx, msg)
}

// sealed returns a message that knows its sum.
func sealed(rng *rand.Rand) []byte {
	body := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(8000))
	return append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)), body...)
}

func intact(msg []byte) bool {
	return len(msg) >= 4 && binary.BigEndian.Uint32(msg) == crc32.ChecksumIEEE(msg[4:])
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Many clients keep their links through a hop that breaks them in every way. When it
// stops, all of them get through; when they are gone, nothing is left of them.
func TestChaos(t *testing.T) {
	descriptorsBefore, heapBefore, running := descriptors(t), heap(), leak.Running()
	t.Run("links", chaos)
	leak.None(t, running)
	if after := descriptors(t); after > descriptorsBefore {
		t.Errorf("%d descriptors before, %d after", descriptorsBefore, after)
	}
	if after := heap(); after > heapBefore+chaosHeap {
		t.Errorf("%d bytes of heap before, %d after", heapBefore, after)
	}
}

func chaos(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{KeepAlive: chaosPulse, Policy: transport.Development})
		if err != nil {
			return // a handshake that the hop has spoilt
		}
		defer conn.Close(transport.CodeNormal, "")
		var msg []byte
		for err == nil {
			if msg, err = conn.Read(context.Background(), msg[:0]); err == nil {
				err = writeSoon(context.Background(), conn, msg)
			}
		}
	}))
	defer server.Close()
	var healed atomic.Bool
	pick := hostile.Seeded(1, chaosScript)
	hop := hostile.Listen(t, server.URL, func(n int) hostile.Script {
		if healed.Load() {
			return hostile.Script{}
		}
		return pick(n)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients [chaosClients]chaosClient
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { clients[i].run(ctx, t, hop.URL(), rand.New(rand.NewPCG(2, uint64(i)))) })
	}
	<-time.After(chaosTime())
	healed.Store(true)
	hop.CutAll()
	var echoes, foreign, links int64
	var before [chaosClients]int64
	for i := range clients {
		before[i] = clients[i].echoes.Load()
	}
	for i := range clients {
		c := &clients[i]
		if !gets(c, before[i]+5) {
			t.Errorf("client %d does not get through a hop that has recovered", i)
		}
		echoes, foreign, links = echoes+c.echoes.Load(), foreign+c.foreign.Load(), links+c.links.Load()
	}
	cancel()
	all.Wait()
	hop.Close()
	t.Logf("%d clients, %d links, %d messages there and back, %d that the hop had changed", chaosClients, links, echoes, foreign)
	if links < 2*chaosClients || foreign == 0 {
		t.Error("that was no chaos")
	}
}

// gets waits until a client has n messages back.
func gets(c *chaosClient, n int64) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for c.echoes.Load() < n {
		select {
		case <-tick.C:
		case <-late.C:
			return false
		}
	}
	return true
}
