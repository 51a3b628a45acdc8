package engine

import "encoding/binary"

// keepQueue is the size in bytes up to which an empty queue always keeps its memory. It
// keeps more only while that is used.
const keepQueue = 16 << 10

// queue holds messages in order, as the padded plaintexts that they are sealed from, in one
// buffer that is used again. So keeping a message, to send it again, takes no allocation and
// no copy but that of padding. A message occupies as many bytes as it costs.
type queue struct {
	buf  []byte
	head int // where the oldest message begins
	peak int // the most that was in use lately, in bytes
}

// push appends a message in two parts and returns its plaintext, which is valid until the
// next push.
func (q *queue) push(header, body []byte) (plain []byte) {
	if need := bucket(lengthSize + len(header) + len(body)); cap(q.buf)-len(q.buf) < need {
		q.makeRoom(need)
	}
	start := len(q.buf)
	q.buf = appendPadded(q.buf, nil, header, body)
	q.peak = max(q.peak, len(q.buf)-q.head)
	return q.buf[start:]
}

// makeRoom moves what is in use to the front of the buffer. If it would have to move again
// soon, makeRoom moves it to a buffer of twice the size that is needed.
func (q *queue) makeRoom(need int) {
	live := q.buf[q.head:]
	to := q.buf[:0]
	if size := 2 * (len(live) + need); size > cap(to) {
		to = make([]byte, 0, size)
	}
	q.buf, q.head = append(to, live...), 0
}

// at returns the plaintext that begins offset bytes behind the oldest one. Offsets
// change with pop.
func (q *queue) at(offset int) (plain []byte) {
	plain = q.buf[q.head+offset:]
	n := int(binary.BigEndian.Uint32(plain))
	return plain[:bucket(lengthSize+n)]
}

// pop drops the oldest message and returns the size of its plaintext.
func (q *queue) pop() int {
	size := len(q.at(0))
	if q.head += size; q.head == len(q.buf) {
		q.reset()
	}
	return size
}

// reset empties the queue for its next use. It drops a buffer of which little was used
// lately. The peak of use falls only slowly, since acks come early now and then.
func (q *queue) reset() {
	if cap(q.buf) > keepQueue && q.peak < cap(q.buf)/8 {
		q.buf = nil
	}
	q.buf, q.head, q.peak = q.buf[:0], 0, q.peak-q.peak/8
}

func (q *queue) empty() bool { return q.head == len(q.buf) }
