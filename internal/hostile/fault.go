// Package hostile is the attacker on the way, for tests: hops that drop, repeat,
// reorder, change, cut, stall and invent, and a relay that does. It is internal so
// that nobody runs one by accident.
//
//   - [Listen] puts a hop in front of any server, over real sockets. What it does is
//     a [Script]: of bytes, or by [Frames] of the messages of a WebSocket.
//   - [ForPipe] makes the same faults work on a [transport.Pipe].
//   - [Relay] serves a relay with an attacker on each connection.
//
// Nothing is left to chance that has no seed: a hop does the same to the same bytes
// again.
package hostile

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A Path is one direction of a link, as a [Fault] sees it. Once the link is over
// its methods do nothing.
type Path interface {
	// Send hands a piece on to the receiver.
	Send(piece []byte)

	// Part hands on the first n bytes of a piece. What follows is missing: the
	// frame of a message still announces all of it.
	Part(piece []byte, n int)

	// Back sends a piece to where pieces come from.
	Back(piece []byte)

	// Cut ends the link both ways, as a hop does that closes its sockets.
	Cut()

	// Reset ends the link both ways with a TCP reset.
	Reset()

	// Stall takes no further pieces until the link is over. The sender's writes
	// fill its buffers and then wait.
	Stall()

	// Pause waits.
	Pause(d time.Duration)

	// Late closes the connection to the sender, and only to that, and sends the piece some
	// time later: to the receiver the sender is still there.
	Late(piece []byte, d time.Duration)
}

// A Fault is what a hop does to one direction of a link. It is called with each
// piece that comes in, in order, and owns it; a piece that it does not send is
// dropped. On bytes a piece is whatever a read of the socket gave, so what is to be
// the same in each run begins with [At] or [From]. On messages a piece is one
// message.
//
// Many Faults remember something and are made for one direction of one link.
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

// Echo sends everything back to where it came from, and nothing on.
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

// ResetWithin ends the link with a TCP reset in the middle of a piece. What was
// under way may be lost.
func ResetWithin(p Path, piece []byte) {
	p.Part(piece, len(piece)/2)
	p.Reset()
}

// Stall takes nothing more.
func Stall(p Path, _ []byte) { p.Stall() }

// StallWithin sends half of a piece and takes nothing more.
func StallWithin(p Path, piece []byte) {
	p.Part(piece, len(piece)/2)
	p.Stall()
}

// Late hands a piece on when its sender is long gone.
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

// Invent sends what the hop made up before the piece.
func Invent(made []byte) Fault {
	return func(p Path, piece []byte) {
		p.Send(bytes.Clone(made))
		p.Send(piece)
	}
}

// Replay sends the first piece that it sees again after each later one.
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

// Reorder holds pieces back until it has window of them, at least two, and sends
// them in an order that is not theirs: reversed, or by chance if there is an rng.
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
			held = append(held[window-1:], held[:window-1]...) // the last one first: never as it was
		}
		for _, h := range held {
			p.Send(h)
		}
		held = nil
	}
}

// Splice mixes links: each piece is kept, and the one kept before, of whichever
// link, is sent in its place. One Splice is shared by the links.
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

// At gives f the bytes from offset on, exactly size of them, however they come in.
// All others pass.
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

// Messages makes a Fault of one that a [transport.Pipe] takes.
func Messages(f transport.Fault) Fault {
	return func(p Path, piece []byte) {
		for _, m := range f(piece) {
			p.Send(m)
		}
	}
}

// ForPipe makes of a Fault one that a [transport.Pipe] takes. A pipe's hop cannot
// end the link and has no way back: after Cut, Reset and Stall nothing arrives any
// more, and Back drops. Pauses are left out.
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
