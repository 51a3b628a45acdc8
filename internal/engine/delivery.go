package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// Delivery numbers the messages of each direction from 1, over all links of the session.
// Messages do not carry their numbers: within a link nothing can be missing, and a resume
// says where the next link begins. The cost of a message is the size of its padded
// plaintext, so that the many empty messages of a flood cost something too.

// Sizes of windows in bytes of cost, and limits derived from them.
const (
	// initialCredit is what each direction may send before the first ack.
	initialCredit = 64 << 10

	// MinWindow and MaxWindow bound Config.Window.
	MinWindow = initialCredit
	MaxWindow = 1 << 30

	// DefaultWindow is Config.Window by default.
	DefaultWindow = 1 << 20

	// creditStep is the least credit that an ack must add if it says nothing else. It
	// bounds the number of acks for a message.
	creditStep = 4 << 10

	// ackDelay is how long an ack waits for more to acknowledge.
	ackDelay = 50 * time.Millisecond

	// progressStep is how much more must have arrived, in bytes of cost, for an ack that
	// says nothing else. It bounds the number of these acks as creditStep does.
	progressStep = 4 << 10

	// progressDelay is how long such an ack waits at most. By then a message that comes
	// fast is complete. The other end has no other sign that its bytes arrive, so the delay
	// is far below any sensible keep-alive.
	progressDelay = time.Second

	// steadyCost is how much a link must carry, in bytes of cost, to be worth pieces of full
	// size. After a link that carried less, and lost some, the pieces are small.
	steadyCost = 1 << 20
)

// pieceAckDelay returns how long an ack of pieces waits at an end with this keep-alive.
func pieceAckDelay(keepAlive time.Duration) time.Duration {
	if keepAlive > 0 {
		return min(progressDelay, keepAlive/8)
	}
	return progressDelay
}

// Cost returns the cost of a message of n bytes, header and body.
func Cost(n int) int { return bucket(lengthSize + n) }

func cost(n int) uint64 { return uint64(Cost(n)) }

// outbox is the delivery of what this end sends.
type outbox struct {
	unacked queue
	acked   uint64 // number of the last message that the other end has
	last    uint64 // number of the last message
	cursor  uint64 // number of the last message sealed on this link to its end

	finished bool // the session takes no more messages to send

	offset    int           // in unacked, of the first message that is not sealed whole on this link
	sealed    int           // bytes of that message that are sealed, or had arrived before
	lastBegun uint64        // number of the last message of which a piece was sealed on any link
	stored    queuePosition // through here messages are stored apart; see [Session.StoredApart]

	// Each of these is the cost of some whole messages and of a part of the next one.
	linkStart   uint64 // what had arrived when this link began
	maxSealed   uint64 // what was sealed on any link, or may have been
	arrived     uint64 // what the other end is known to have; falls on a new link if the other end has lost some
	smallPieces bool   // links are slow or do not last, so pieces are small

	ackedCost, cost uint64 // of all messages through acked, and through last
	apartCost       uint64 // of the unacknowledged ones that are counted apart, see Kind.apart
	credit          uint64 // cost of all messages that the other end lets this end send
	window          uint64 // cost that may be unacknowledged

	ask          bool   // an ask is due
	askedThrough uint64 // number of the last message sealed when the last ask was sent
	idleAcks     int    // acks with nothing new that the other end may still send on this link
}

// ready reports whether a message of the kind may begin now: all others are sealed, and
// hasRoom reports true.
func (o *outbox) ready(k Kind) bool { return o.hasRoom(k) && o.cursor == o.last }

// hasRoom reports whether there is room for one more message of the kind, and credit if it
// needs any. The message may be of any size: otherwise one larger than the window could
// never begin. Answers and their like are counted apart: an end may acknowledge a message
// only once its application has taken it, and the application may wait for an answer.
func (o *outbox) hasRoom(k Kind) bool {
	if k.apart() {
		return o.apartCost < o.window
	}
	return o.cost-o.ackedCost-o.apartCost < o.window && (k.Free() || o.cost < o.credit)
}

// append queues a message for next to return.
func (o *outbox) append(header, body []byte) {
	o.last++
	plain := o.unacked.push(header, body)
	o.cost += uint64(len(plain))
	o.apartCost += apartCost(plain)
	// The ask goes out early, so that the ack comes before the window is full.
	if o.cost-o.ackedCost >= o.window/2 && o.askedThrough <= o.acked {
		o.ask = true
	}
}

// apartCost returns the cost of a message if it is counted apart, else 0.
func apartCost(plain []byte) uint64 {
	if binary.BigEndian.Uint32(plain) > 0 && Kind(plain[lengthSize]).apart() {
		return uint64(len(plain))
	}
	return 0
}

// advance moves past a message that was sealed on this link.
func (o *outbox) advance(plain []byte) {
	o.cursor++
	o.offset += len(plain)
	o.sealed = 0
}

// wantAck makes an ask due, unless the last ask covers all messages. It does not ask for
// credit: the other end gives credit as soon as it has some.
func (o *outbox) wantAck() { o.ask = o.ask || o.askedThrough < o.last }

// sealedCost returns the cost of what was sealed on this link or had arrived before.
func (o *outbox) sealedCost() uint64 { return o.ackedCost + uint64(o.offset+o.sealed) }

// acknowledge takes in an ack. It reports false for an ack that no honest end sends: one
// that acknowledges what was not sent, or less than before; one with less credit than
// before, or more than any window allows; or one too many with nothing new in it.
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

// costThrough returns the cost of all messages through n, which is acked or a queued message.
func (o *outbox) costThrough(n uint64) uint64 {
	offset := 0
	for k := o.acked; k < n; k++ {
		offset += len(o.unacked.at(offset))
	}
	return o.ackedCost + uint64(offset)
}

// A progress says what an end has of the other's messages: all messages through received,
// and some of the next one. Arrived is the cost of both.
type progress struct{ received, arrived uint64 }

// plausible reports whether the other end can honestly have this progress: no less than it
// has acknowledged, no more than was sealed, and whole pieces only.
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

// rewind makes a new link send again everything that has not arrived. It frees no message:
// only an ack does.
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

// pieceSize returns the size of pieces on this link.
func (o *outbox) pieceSize() int {
	if o.smallPieces {
		return smallPieceSize
	}
	return pieceSize
}

// next returns the plaintext of the next record to seal on this link, a message or a piece
// of one, and the record's type. It returns nil if there is none.
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

// askDue reports whether it is time to send an ask. In the middle of a message the answer
// would come too early.
func (o *outbox) askDue() bool { return o.ask && o.cursor == o.last }

// resends reports whether next returns the first piece on this link of a message that an
// earlier link began.
func (o *outbox) resends() bool {
	return o.cursor < o.lastBegun && (o.sealed == 0 || o.sealedCost() == o.linkStart)
}

// countAsk counts an ask that is sent.
func (o *outbox) countAsk() {
	o.ask, o.askedThrough = o.ask && o.cursor < o.last, o.cursor
	o.idleAcks++
}

// inbox is the delivery of what the other end sends.
type inbox struct {
	received uint64       // number of the last message
	cost     uint64       // of all of them
	consumed uint64       // cost of those that do not wait for the application
	window   uint64       // cost that may wait for the application
	stored   bool         // see Config.Stored: messages that wait are not acknowledged
	waiting  []messageEnd // if stored: for each message that waits, the end of the message before it
	owed     []uint64     // if stored: the unanswered requests, in their order
	partial  partial      // what has arrived of the next message, on any link

	granted       uint64        // credit that the other end was last given
	unusedCredit  uint64        // how much of it was unused then
	ackSent       uint64        // number of the last message that this end has acknowledged
	arrivedSent   uint64        // the arrived of the last ack sent
	pieceAckDelay time.Duration // how long an ack of pieces waits
	ackAt         time.Time     // when the next ack is due; zero: none is
	ackForPieces  bool          // ackAt is for pieces only, and may be too late for a whole message
}

// progress returns what has arrived.
func (i *inbox) progress() progress { return progress{i.received, i.cost + i.partial.arrived()} }

// A messageEnd is the point behind a message: its number, and the cost of all messages
// through it.
type messageEnd struct{ number, cost uint64 }

// hasCredit reports whether there is credit for the message that begins or has begun, or
// the message needs none.
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

// consumeNext counts the oldest waiting message, which the application has taken.
func (i *inbox) consumeNext(now time.Time, n int) {
	i.consumed += cost(n)
	if len(i.waiting) > 0 {
		i.waiting = i.waiting[1:]
	}
	i.schedule(now)
}

// consumeNumber counts message number, which the application has taken out of order.
func (i *inbox) consumeNumber(now time.Time, number uint64, n int) {
	i.consumed += cost(n)
	at, found := slices.BinarySearchFunc(i.waiting, number, func(p messageEnd, n uint64) int { return cmp.Compare(p.number+1, n) })
	switch {
	case found && at == 0: // the usual case; avoids moving what may be a million others
		i.waiting = i.waiting[1:]
	case found:
		i.waiting = slices.Delete(i.waiting, at, at+1)
	}
	i.schedule(now)
}

// safe returns the end of the last message that may be acknowledged: it and all before it
// have arrived, and none of them is lost if this process ends.
func (i *inbox) safe() messageEnd {
	if len(i.waiting) > 0 {
		return i.waiting[0]
	}
	return messageEnd{i.received, i.cost}
}

// schedule decides when the next ack is due: at once if the other end may soon have to wait
// for it, otherwise some time after the first message that it acknowledges.
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

// grant returns the credit that this end can give. It never falls.
func (i *inbox) grant() uint64 { return max(i.granted, i.consumed+i.window) }

// ack returns the ack to send now, and counts it as sent.
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
