package engine

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRecord times a record beside a bare AES-256-GCM call on the same
// message, turn by turn, and reports their ratio: machines that others use at the
// same time are slow and fast in waves.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 16 << 10, pieceSize - lengthSize} { // larger ones are several records
		message := make([]byte, size)
		b.Run(fmt.Sprintf("seal/%d", size), func(b *testing.B) {
			s := sealOnly()
			dst, bare := make([]byte, 0, MaxFrame(size)), newBare(size)
			againstWith(b, func() { arrive(s) }, func() { dst, _ = s.Seal(epoch, dst[:0], nil, message) }, func() { bare.seal(message) })
		})
		b.Run(fmt.Sprintf("open/%d", size), func(b *testing.B) {
			c, s := pair(b)
			ours, bares, dst, bare := make([][]byte, turn), make([][]byte, turn), make([]byte, 0, MaxFrame(size)), newBare(size)
			var i, j int
			refill := func() {
				arrive(c)
				for k := range turn {
					ours[k], _ = c.Seal(epoch, ours[k][:0], nil, message)
					bares[k] = append(bares[k][:0], bare.seal(message)...)
				}
				i, j = 0, 0
			}
			againstWith(b, refill,
				func() {
					dst, _, _ = s.Open(epoch, dst[:0], ours[i])
					s.session.Consumed(epoch, size)
					i++
				},
				func() { bare.open(bares[j]); j++ })
		})
	}
}

// arrive acknowledges everything that l has sealed.
func arrive(l *Link) {
	if o := &l.session.out; !o.acknowledge(ack{o.last, o.cost + MaxWindow, o.cost}) && o.last > 0 {
		panic("acknowledged nothing")
	}
}

// turn is how many calls of one kind run before the other's turn.
const turn = 64

func againstWith(b *testing.B, prepare, ours, bare func()) {
	b.ReportAllocs()
	var oursTime, bareTime time.Duration
	timed := func(f func(), total *time.Duration) {
		start := time.Now()
		for range turn {
			f()
		}
		*total += time.Since(start)
	}
	for n := 0; n < b.N; n += turn {
		prepare()
		timed(ours, &oursTime)
		timed(bare, &bareTime)
	}
	rounds := float64((b.N + turn - 1) / turn * turn)
	b.ReportMetric(float64(oursTime)/rounds, "ns/record")
	b.ReportMetric(float64(bareTime)/rounds, "ns/bare")
	b.ReportMetric(float64(oursTime)/float64(bareTime), "x-bare")
	b.ReportMetric(0, "ns/op") // ours and bare together: says nothing
}

// bareAEAD is AES-256-GCM as one would call it by hand, buffers reused.
type bareAEAD struct {
	direction
	sealed, plain []byte
}

func newBare(size int) *bareAEAD {
	b := &bareAEAD{direction: newDirection(make([]byte, 32), make([]byte, 32))}
	b.sealed, b.plain = make([]byte, 0, size+tagSize), make([]byte, 0, size)
	return b
}

func (b *bareAEAD) seal(message []byte) []byte {
	b.sealed = b.aead.Seal(b.sealed[:0], b.nonce[:], message, nil)
	return b.sealed
}

func (b *bareAEAD) open(sealed []byte) {
	b.plain, _ = b.aead.Open(b.plain[:0], b.nonce[:], sealed, nil)
}

// BenchmarkHandshake is both ends' work for one handshake, signing included.
func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustMeet(b, client(alice), server(bob))
	}
}

// BenchmarkResume is both ends' work for giving a session another link.
func BenchmarkResume(b *testing.B) {
	c, s := sessions(b)
	b.ReportAllocs()
	for b.Loop() {
		mustRevive(b, c, s)
	}
}
