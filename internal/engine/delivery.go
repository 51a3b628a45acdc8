package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// Delivery counts the messages of each direction, from 1, for as long as the
// session lives, on however many links. The numbers are not sent with them:
// within a link nothing can be missing, and a resume says where the next one
// begins. The cost of a message is the size of its padded plaintext, so that the
// many empty messages of a flood cost something too.

// Sizes of windows in bytes of cost, and what follows from them.
const (
	// initialCredit is what each direction may send before the first ack.
	initialCredit = 64 << 10

	// MinWindow and MaxWindow bound Config.Window.
	MinWindow = initialCredit
	MaxWindow = 1 << 30

	// DefaultWindow is Config.Window by default.
	DefaultWindow = 1 << 20

	// creditStep is the least that an ack which says nothing else may add to the
	// credit. It bounds the acks for a message.
	creditStep = 4 << 10

	// ackDelay is how long an ack waits for more to acknowledge.
	ackDelay = 50 * time.Millisecond

	// progressStep is how much must have arrived, in bytes of cost, for an ack that says
	// nothing else. It bounds these acks like creditStep does.
	progressStep = 4 << 10

	// progressDelay is how long such an ack waits, at most: until then a message that
	// comes fast is whole. It is far below any sensible keep-alive of the other end, which
	// has no other sign that its bytes arrive.
	progressDelay = time.Second

	// smooth is how much a link has to bring, in bytes of cost, for its pieces to be worth
	// their size: behind one that brings less, and loses some, they are small.
	steadyCost = 1 << 20
)

// progressAfter returns how long an ack of pieces waits at an end with this keep-alive.
func pieceAckDelay(keepAlive time.Duration) time.Duration {
	if keepAlive > 0 {
		return min(progressDelay, keepAlive/8)
	}
	return progressDelay
}

// Cost returns what a message of n bytes, header and body, counts.
func Cost(n int) int { return bucket(lengthSize + n) }

func cost(n int) uint64 { return uint64(Cost(n)) }

// outbox is the delivery of what this end sends.
type outbox struct {
	unacked queue
	acked   uint64 // number of the last message that the other end has
	last    uint64 // number of the last message
	cursor  uint64 // number of the last message sealed on this link to its end

	finished bool // no more messages are numbered

	offset    int           // in unacked, of the first message that is not
	sealed    int           // how much of that one is, or had arrived before, in bytes
	lastBegun uint64        // number of the last message that was, or some of it, on any link
	stored    queuePosition // behind which message a state has all; see [Session.StoredApart]

	// These are costs of all messages before, and of what is counted of the next one.
	linkStart   uint64 // where this link began
	maxSealed   uint64 // what was sealed on any link, or may have been
	arrived     uint64 // what the other end is known to have; less on a later link if it has lost some
	smallPieces bool   // the pieces are small: links are slow, or do not last

	ackedCost, cost uint64 // of all messages through acked, through last
	apartCost       uint64 // of those behind acked that are counted apart, see Kind.apart
	credit          uint64 // cost that the other end takes
	window          uint64 // cost that may be unacknowledged

	ask          bool   // an ask is due
	askedThrough uint64 // number of the last message sealed when one was sent
	idleAcks     int    // acks without news that the other end may still send on this link
}

// ready reports whether there is room for one more message of a kind, and credit unless
// it is free. One that may begin may be of any size: otherwise one larger than the window
// never could.
func (o *outbox) ready(k Kind) bool { return o.hasRoom(k) && o.cursor == o.last }

// room counts answers and their like apart: an end that acknowledges a message only once
// its application has taken it may need an answer for that.
func (o *outbox) hasRoom(k Kind) bool {
	if k.apart() {
		return o.apartCost < o.window
	}
	return o.cost-o.ackedCost-o.apartCost < o.window && (k.Free() || o.cost < o.credit)
}

// append takes a message in, for next to return.
func (o *outbox) append(header, body []byte) {
	o.last++
	plain := o.unacked.push(header, body)
	o.cost += uint64(len(plain))
	o.apartCost += apartCost(plain)
	// In good time, so that the answer comes before there is no room.
	if o.cost-o.ackedCost >= o.window/2 && o.askedThrough <= o.acked {
		o.ask = true
	}
}

// apartCost returns the cost of a message's plaintext if that is counted apart, else 0.
func apartCost(plain []byte) uint64 {
	if binary.BigEndian.Uint32(plain) > 0 && Kind(plain[lengthSize]).apart() {
		return uint64(len(plain))
	}
	return 0
}

// step moves on behind a message that was sealed on this link.
func (o *outbox) advance(plain []byte) {
	o.cursor++
	o.offset += len(plain)
	o.sealed = 0
}

// wantAck has an ask sent, unless the answer to the last one will do. Credit is
// not asked for: the other end gives some when it has some.
func (o *outbox) wantAck() { o.ask = o.ask || o.askedThrough < o.last }

// sent returns the cost of what was sealed on this link or had arrived before.
func (o *outbox) sealedCost() uint64 { return o.ackedCost + uint64(o.offset+o.sealed) }

// acknowledge takes an ack in. It reports false for one that no honest end sends:
// of what was not sent, of less than before, with less credit or more than any
// window allows, or again and again with nothing new in it.
func (o *outbox) acknowledge(a ack) bool {
	received, credit := a.received, a.credit
	if received < o.acked || received > o.cursor || credit < o.credit || credit > o.cost+MaxWindow {
		return false
	}
	if a.arrived < o.arrived || a.arrived > o.sealedCost() || a.arrived < o.costThrough(received) {
		return false
	}
	advances := received > o.acked || credit >= o.credit+creditStep || a.arrived >= o.arrived+progressStep
	if !advances && o.idleAcks == 0 {
		return false
	}
	if !advances {
		o.idleAcks--
	}
	for ; o.acked < received; o.acked++ {
		o.apartCost -= apartCost(o.unacked.at(0))
		size := o.unacked.pop()
		o.ackedCost += uint64(size)
		o.offset -= size
		o.stored.pop(o.acked+1, size)
	}
	o.credit, o.arrived = credit, a.arrived
	if o.smallPieces && o.arrived >= o.linkStart+steadyCost {
		o.smallPieces = false
	}
	return true
}

// through returns the cost of all messages through n, which is one that is kept.
func (o *outbox) costThrough(n uint64) uint64 {
	offset := 0
	for k := o.acked; k < n; k++ {
		offset += len(o.unacked.at(offset))
	}
	return o.ackedCost + uint64(offset)
}

// A progress is what an end has of the other's messages: all through received, and of the
// next one what makes the cost of both arrived.
type progress struct{ received, arrived uint64 }

// knows reports whether the other end may say that it has got so far: no less than it has
// acknowledged, and whole pieces of what was sealed.
func (o *outbox) plausible(p progress) bool {
	if p.received < o.acked || p.received > o.last || p.arrived > o.maxSealed {
		return false
	}
	through := o.costThrough(p.received)
	if p.arrived <= through || p.received == o.last {
		return p.arrived == through
	}
	next := o.unacked.at(int(through - o.ackedCost))
	within := p.arrived - through
	return within < uint64(len(next)) && within%smallPieceSize == 0
}

// rewind has everything behind what has arrived sent again, on a new link. It frees
// nothing: only an ack does.
func (o *outbox) rewind(p progress) {
	unsteady := o.sealedCost() > p.arrived && p.arrived < o.linkStart+steadyCost
	o.cursor, o.offset, o.sealed = o.acked, 0, 0
	for o.cursor < p.received {
		o.advance(o.unacked.at(o.offset))
	}
	o.sealed = int(p.arrived - o.sealedCost())
	o.smallPieces = o.smallPieces || unsteady && o.cursor < o.last && len(o.unacked.at(o.offset)) > smallPieceSize
	o.linkStart, o.arrived = p.arrived, p.arrived
	o.ask, o.askedThrough, o.idleAcks = false, o.acked, 1
}

// pieces returns the size of pieces on this link.
func (o *outbox) pieceSize() int {
	if o.smallPieces {
		return smallPieceSize
	}
	return pieceSize
}

// next returns the plaintext of the next record that was not sealed on this link, a
// message or a piece of one, and its type; or nil if there is none.
func (o *outbox) next() (piece []byte, kind byte) {
	if o.cursor == o.last {
		return nil, 0
	}
	o.lastBegun = max(o.lastBegun, o.cursor+1)
	plain := o.unacked.at(o.offset)
	piece, kind = cutPiece(plain[o.sealed:], o.pieceSize())
	if o.sealed += len(piece); kind == typeData {
		o.advance(plain)
	}
	o.maxSealed = max(o.maxSealed, o.sealedCost())
	return piece, kind
}

// asks reports whether it is time for an ask. In the middle of a message the answer
// would come too early.
func (o *outbox) askDue() bool { return o.ask && o.cursor == o.last }

// repeats reports whether next returns a message again, of which this is the first piece on
// this link.
func (o *outbox) resends() bool {
	return o.cursor < o.lastBegun && (o.sealed == 0 || o.sealedCost() == o.linkStart)
}

// asked counts an ask that is sent.
func (o *outbox) countAsk() {
	o.ask, o.askedThrough = o.ask && o.cursor < o.last, o.cursor
	o.idleAcks++
}

// inbox is the delivery of what the other end sends.
type inbox struct {
	received uint64       // number of the last message
	cost     uint64       // of all of them
	consumed uint64       // cost of those that do not wait for the application
	window   uint64       // cost that may be waiting for it
	stored   bool         // what waits for it is not acknowledged
	waiting  []messageEnd // where each of those begins, if so
	owed     []uint64     // requests that are not answered yet, if so, in their order
	partial  partial      // what has come of the next one, on whatever links

	granted       uint64        // credit as it was last told
	unusedCredit  uint64        // how much of that was unused then
	ackSent       uint64        // number of the last message that was acknowledged
	arrivedSent   uint64        // cost of what was last said to have arrived
	pieceAckDelay time.Duration // how long an ack of pieces waits
	ackAt         time.Time
	ackForPieces  bool // that is for pieces only: for what is whole it may be too late
}

// progress returns what has arrived.
func (i *inbox) progress() progress { return progress{i.received, i.cost + i.partial.arrived()} }

// A position is behind a message: its number, and the cost of all through it.
type messageEnd struct{ number, cost uint64 }

// open reports whether there is credit for a message to begin, or for the one that has,
// or it needs none.
func (i *inbox) hasCredit(free bool) bool { return free || i.cost < i.granted }

// take counts a message of n bytes that is complete. One that needs no credit waits for
// nobody.
func (i *inbox) take(now time.Time, n int, free bool) {
	switch {
	case free:
		i.consumed += cost(n)
	case i.stored:
		i.waiting = append(i.waiting, messageEnd{i.received, i.cost})
	}
	i.received++
	i.cost += cost(n)
	i.partial = partial{}
	i.schedule(now)
}

// takePiece counts a piece of a message that is not complete.
func (i *inbox) takePiece(now time.Time, p partial) {
	i.partial = p
	i.schedule(now)
}

// consume counts a message that the application has taken.
func (i *inbox) consumeNext(now time.Time, n int) {
	i.consumed += cost(n)
	if len(i.waiting) > 0 {
		i.waiting = i.waiting[1:]
	}
	i.schedule(now)
}

// took is consume of message number.
func (i *inbox) consumeNumber(now time.Time, number uint64, n int) {
	i.consumed += cost(n)
	at, found := slices.BinarySearchFunc(i.waiting, number, func(p messageEnd, n uint64) int { return cmp.Compare(p.number+1, n) })
	switch {
	case found && at == 0: // most often, and there may be a million others
		i.waiting = i.waiting[1:]
	case found:
		i.waiting = slices.Delete(i.waiting, at, at+1)
	}
	i.schedule(now)
}

// safe returns behind which message all have arrived, none of which an end of this
// process could lose.
func (i *inbox) safe() messageEnd {
	if len(i.waiting) > 0 {
		return i.waiting[0]
	}
	return messageEnd{i.received, i.cost}
}

// schedule says when the next ack is due: at once where the other end may soon have
// to wait for it, otherwise some time after the first message that it acknowledges.
func (i *inbox) schedule(now time.Time) {
	due := i.ackAt
	switch {
	case !due.IsZero() && !i.ackForPieces:
	case i.safe().number > i.ackSent:
		due, i.ackForPieces = now.Add(ackDelay), false
	case !i.ackForPieces && i.progress().arrived >= i.arrivedSent+progressStep:
		due, i.ackForPieces = now.Add(i.pieceAckDelay), true
	}
	if i.cost+i.unusedCredit/2 >= i.granted && i.grant() >= i.granted+creditStep {
		due = now
	}
	if i.ackAt.IsZero() || due.Before(i.ackAt) {
		i.ackAt = due
	}
}

// grant returns the credit that there is to give. It never falls.
func (i *inbox) grant() uint64 { return max(i.granted, i.consumed+i.window) }

// ack returns what to tell now, as told from here on.
func (i *inbox) ack() ack {
	if grant := i.grant(); grant >= i.granted+creditStep {
		i.granted, i.unusedCredit = grant, grant-min(grant, i.cost)
	}
	i.ackSent, i.arrivedSent, i.ackAt, i.ackForPieces = i.safe().number, i.progress().arrived, time.Time{}, false
	return ack{i.ackSent, i.granted, i.arrivedSent}
}

// An ack has these fields, and no data:
//
//	size  meaning
//	8     received: the number of the last message that has arrived
//	8     credit: the cost of all messages, from the first, that may be sent
//	8     arrived: the cost of all that has arrived, pieces too; see [progress]
const ackFieldsSize = 24

type ack struct{ received, credit, arrived uint64 }

func (a ack) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, a.received)
	dst = binary.BigEndian.AppendUint64(dst, a.credit)
	return binary.BigEndian.AppendUint64(dst, a.arrived)
}

func parseAck(fields []byte) ack {
	return ack{binary.BigEndian.Uint64(fields), binary.BigEndian.Uint64(fields[8:]), binary.BigEndian.Uint64(fields[16:])}
}

// progressSize is what a progress has in a hello: two u64.
const progressSize = 8 + 8

func (p progress) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, p.received), p.arrived)
}

func parseProgress(fields []byte) progress {
	return progress{binary.BigEndian.Uint64(fields), binary.BigEndian.Uint64(fields[8:])}
}
