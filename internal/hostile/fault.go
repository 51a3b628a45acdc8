// Package hostile is the attacker on the way, for tests: hops that drop, repeat,
// reorder, change, cut, stall and invent, and a relay that does the same. It is internal
// so that nobody runs one by accident.
//
//   - [Listen] puts a hop in front of any server, over real sockets. A [Script] says what
//     the hop does to bytes, or with [Frames] to the messages of a WebSocket.
//   - [ForPipe] makes the same faults work on a [transport.Pipe].
//   - [Relay] serves a relay with an attacker on each connection.
//
// All chance has a seed: a hop does the same to the same bytes again.
package hostile

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A Path is one direction of a link, as a [Fault] sees it. Once the link is over,
// its methods do nothing.
type Path interface {
	// Send passes a piece on to the receiver.
	Send(piece []byte)

	// Part passes on the first n bytes of a piece. The rest is missing: the frame of a
	// message still announces all of it.
	Part(piece []byte, n int)

	// Back sends a piece to the sender.
	Back(piece []byte)

	// Cut ends the link both ways, like a hop that closes its sockets.
	Cut()

	// Reset ends the link both ways with a TCP reset.
	Reset()

	// Stall takes no more pieces until the link is over. The sender's writes fill its
	// buffers and then wait.
	Stall()

	// Pause waits.
	Pause(d time.Duration)

	// Late closes only the connection to the sender, and sends the piece after d. The
	// receiver believes that the sender is still there.
	Late(piece []byte, d time.Duration)
}

// A Fault is what a hop does to one direction of a link. The hop calls it with each
// piece that comes in, in order. The Fault owns the piece, and drops it by not sending
// it. On bytes, a piece is whatever one read of the socket returned, so a Fault that
// must do the same in each run needs [At] or [From]. On messages, a piece is one message.
//
// Many Faults keep state: make one for each direction of each link.
type Fault func(p Path, piece []byte)

// Pass changes nothing.
func Pass(p Path, piece []byte) { p.Send(piece) }

// Drop loses a piece.
func Drop(Path, []byte) {}

// Repeat sends a piece twice.
func Repeat(p Path, piece []byte) {
	p.Send(piece)
	p.Send(piece)
}

// Truncate takes a byte off the end.
func Truncate(p Path, piece []byte) { p.Send(piece[:max(len(piece)-1, 0)]) }

// Extend adds a byte at the end.
func Extend(p Path, piece []byte) { p.Send(append(piece, 0)) }

// Flip changes the lowest bit of the byte in the middle.
func Flip(p Path, piece []byte) {
	if len(piece) > 0 {
		piece[len(piece)/2] ^= 1
	}
	p.Send(piece)
}

// Echo sends everything back to the sender, and passes nothing on.
func Echo(p Path, piece []byte) { p.Back(piece) }

// Cut ends the link instead of sending.
func Cut(p Path, _ []byte) { p.Cut() }

// CutWithin ends the link in the middle of a piece.
func CutWithin(p Path, piece []byte) {
	p.Part(piece, len(piece)/2)
	p.Cut()
}

// Reset ends the link with a TCP reset instead of sending.
func Reset(p Path, _ []byte) { p.Reset() }

// ResetWithin ends the link with a TCP reset in the middle of a piece. Bytes that
// were under way may be lost.
func ResetWithin(p Path, piece []byte) {
	p.Part(piece, len(piece)/2)
	p.Reset()
}

// Stall takes no more pieces.
func Stall(p Path, _ []byte) { p.Stall() }

// StallWithin sends half of a piece and takes no more.
func StallWithin(p Path, piece []byte) {
	p.Part(piece, len(piece)/2)
	p.Stall()
}

// Late passes a piece on when its sender is long gone.
func Late(wait time.Duration) Fault { return func(p Path, piece []byte) { p.Late(piece, wait) } }

// Corrupt changes some bits, at least one.
func Corrupt(rng *rand.Rand) Fault {
	return func(p Path, piece []byte) {
		for n := 1 + rng.IntN(8); n > 0 && len(piece) > 0; n-- {
			piece[rng.IntN(len(piece))] ^= 1 << rng.IntN(8)
		}
		p.Send(piece)
	}
}

// Invent sends made, which the hop has invented, before each piece.
func Invent(made []byte) Fault {
	return func(p Path, piece []byte) {
		p.Send(bytes.Clone(made))
		p.Send(piece)
	}
}

// Replay sends the first piece again after each later one.
func Replay() Fault {
	var first []byte
	return func(p Path, piece []byte) {
		if first == nil {
			first = append([]byte{}, piece...)
			p.Send(piece)
			return
		}
		p.Send(piece)
		p.Send(bytes.Clone(first))
	}
}

// Reorder holds pieces back until it has window of them, at least two. Then it sends
// them in another order: reversed, or by chance if there is an rng.
func Reorder(window int, rng *rand.Rand) Fault {
	var held [][]byte
	return func(p Path, piece []byte) {
		if held = append(held, bytes.Clone(piece)); len(held) < window {
			return
		}
		if rng == nil {
			slices.Reverse(held)
		} else {
			rng.Shuffle(window-1, func(i, j int) { held[i], held[j] = held[j], held[i] })
			held = append(held[window-1:], held[:window-1]...) // the last one comes first, so the order always changes
		}
		for _, h := range held {
			p.Send(h)
		}
		held = nil
	}
}

// Splice mixes links. It keeps each piece, and sends in its place the piece that it kept
// before, from whichever link. The links share one Splice.
func Splice() Fault {
	var mu sync.Mutex
	var kept []byte
	return func(p Path, piece []byte) {
		mu.Lock()
		piece, kept = kept, bytes.Clone(piece)
		mu.Unlock()
		if piece != nil {
			p.Send(piece)
		}
	}
}

// Trickle sends n bytes at a time, with a pause after each.
func Trickle(n int, pause time.Duration) Fault {
	return func(p Path, piece []byte) {
		for part := range slices.Chunk(piece, n) {
			p.Send(part)
			p.Pause(pause)
		}
	}
}

// Delay waits before each piece.
func Delay(d time.Duration) Fault {
	return func(p Path, piece []byte) {
		p.Pause(d)
		p.Send(piece)
	}
}

// At gives f exactly size bytes from offset on, in one piece, however they come in. All
// others pass.
func At(offset, size int, f Fault) Fault {
	var seen int
	var held []byte
	return func(p Path, piece []byte) {
		before := min(max(offset-seen, 0), len(piece))
		within := min(size-len(held), len(piece)-before)
		seen += len(piece)
		if before > 0 {
			p.Send(piece[:before])
		}
		piece = piece[before:]
		if within > 0 {
			held = append(held, piece[:within]...)
			if len(held) == size {
				f(p, bytes.Clone(held))
			}
			piece = piece[within:]
		}
		if len(piece) > 0 {
			p.Send(piece)
		}
	}
}

// From gives f all bytes from offset on.
func From(offset int, f Fault) Fault {
	var seen int
	return func(p Path, piece []byte) {
		before := min(max(offset-seen, 0), len(piece))
		seen += len(piece)
		if before > 0 {
			p.Send(piece[:before])
		}
		if len(piece) > before {
			f(p, piece[before:])
		}
	}
}

// Nth gives f the n-th piece, from 1. All others pass.
func Nth(n int, f Fault) Fault { return when(f, func(i int) bool { return i == n }) }

// FromNth gives f the n-th piece, from 1, and all after it.
func FromNth(n int, f Fault) Fault { return when(f, func(i int) bool { return i >= n }) }

// Every gives f each n-th piece.
func Every(n int, f Fault) Fault { return when(f, func(i int) bool { return i%n == 0 }) }

// Sometimes gives f one piece of n, by chance.
func Sometimes(n int, rng *rand.Rand, f Fault) Fault {
	return when(f, func(int) bool { return rng.IntN(n) == 0 })
}

func when(f Fault, applies func(i int) bool) Fault {
	i := 0
	return func(p Path, piece []byte) {
		if i++; applies(i) {
			f(p, piece)
		} else {
			p.Send(piece)
		}
	}
}

// Messages turns a Fault for a [transport.Pipe] into one of this package.
func Messages(f transport.Fault) Fault {
	return func(p Path, piece []byte) {
		for _, m := range f(piece) {
			p.Send(m)
		}
	}
}

// ForPipe turns a Fault into one for a [transport.Pipe]. A pipe's hop cannot end the link
// and cannot send back. So after Cut, Reset, Stall and Late nothing arrives any more, Back
// drops the piece, and Pause does not wait.
func ForPipe(f Fault) transport.Fault {
	path := new(pipePath)
	return func(msg []byte) [][]byte {
		path.out = nil
		if !path.silent {
			f(path, msg)
		}
		return path.out
	}
}

type pipePath struct {
	out    [][]byte
	silent bool
}

func (p *pipePath) Send(piece []byte) {
	if !p.silent {
		p.out = append(p.out, piece)
	}
}

func (p *pipePath) Part(piece []byte, n int)   { p.Send(piece[:n]) }
func (p *pipePath) Back([]byte)                {}
func (p *pipePath) Cut()                       { p.silent = true }
func (p *pipePath) Reset()                     { p.silent = true }
func (p *pipePath) Stall()                     { p.silent = true }
func (p *pipePath) Pause(time.Duration)        {}
func (p *pipePath) Late([]byte, time.Duration) { p.silent = true }
