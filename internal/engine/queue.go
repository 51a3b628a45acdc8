package engine

import "encoding/binary"

// keepQueue is the size in bytes up to which the memory of an empty queue is kept
// in any case. More is kept as long as it is made use of.
const keepQueue = 16 << 10

// queue holds messages in their order, each behind its length, in one piece of
// memory that is used again: keeping a message for sending it again costs a copy
// and no allocation.
type queue struct {
	buf  []byte
	head int // where the oldest message begins
	peak int // the most that was in use since the queue was last empty, in bytes
}

// push appends a copy of message. It may move what at has returned.
func (q *queue) push(message []byte) {
	need := lengthSize + len(message)
	if cap(q.buf)-len(q.buf) < need {
		q.makeRoom(need)
	}
	q.buf = binary.BigEndian.AppendUint32(q.buf, uint32(len(message)))
	q.buf = append(q.buf, message...)
	q.peak = max(q.peak, len(q.buf)-q.head)
}

// makeRoom moves what is in use to the front, or to twice the memory where it would
// have to move again soon.
func (q *queue) makeRoom(need int) {
	live := q.buf[q.head:]
	to := q.buf[:0]
	if size := 2 * (len(live) + need); size > cap(to) {
		to = make([]byte, 0, size)
	}
	q.buf, q.head = append(to, live...), 0
}

// at returns the message that begins offset bytes behind the oldest one, and the
// offset of the next. Offsets change with pop.
func (q *queue) at(offset int) (message []byte, next int) {
	start := q.head + offset + lengthSize
	n := int(binary.BigEndian.Uint32(q.buf[start-lengthSize:]))
	return q.buf[start : start+n : start+n], offset + lengthSize + n
}

// pop drops the oldest message and returns its length in bytes.
func (q *queue) pop() int {
	message, next := q.at(0)
	if q.head += next; q.head == len(q.buf) {
		q.reset()
	}
	return len(message)
}

// reset empties the queue for its next use.
func (q *queue) reset() {
	if cap(q.buf) > keepQueue && q.peak < cap(q.buf)/8 {
		q.buf = nil
	}
	q.buf, q.head, q.peak = q.buf[:0], 0, 0
}

func (q *queue) empty() bool { return q.head == len(q.buf) }
