package engine

// Vectors of closes are records of one direction, to an end that has received some messages
// on links before.

const before = 5 // messages

func closesVector() *vector {
	v := recordsVector()
	v.Received = before
	return v
}

// closes appends an honest close, or one that is to be refused.
func (d *peerDirection) closes(code uint16, last uint64) { d.say(typeClose, closeOf(code, last), nil) }

func closeOf(code uint16, last uint64) []byte {
	return append([]byte{byte(code >> 8), byte(code)}, uint64s(last)...)
}

// begun is a first piece of a message that is not whole yet.
func (d *peerDirection) begun() { d.record(typePart, appendPadded(nil, nil, long)[:pieceSize]) }

func goodCloses() (all []making) {
	add := func(name, comment string, missing uint64, say func(d *peerDirection)) {
		all = append(all, making{"good-records-close-" + name, func() *vector {
			v := closesVector()
			v.Comment = comment
			say(v.direction())
			v.Records[len(v.Records)-1].Missing = missing
			return v
		}})
	}
	add("done", "everything has arrived", 0, func(d *peerDirection) {
		d.say(typeData, nil, []byte("the sixth"))
		d.closes(0, before+1)
	})
	add("done-before", "everything has arrived, on links before", 0, func(d *peerDirection) { d.closes(0, before) })
	add("done-nothing", "nothing was ever sent", 0, func(d *peerDirection) {
		d.Received = 0
		d.closes(0, 0)
	})
	add("done-pieces", "everything has arrived, the last of it in two pieces", 0, func(d *peerDirection) {
		plain := appendPadded(nil, nil, long)
		d.record(typePart, plain[:pieceSize])
		d.record(typeData, plain[pieceSize:])
		d.Records = append(d.Records, vectorRecord{Type: typeData, Data: long})
		d.closes(0, before+1)
	})
	add("going-away", "everything has arrived, though the code does not say so", 0, func(d *peerDirection) { d.closes(1, before) })
	add("incomplete", "three messages will not come", 3, func(d *peerDirection) { d.closes(6, before+3) })
	add("within", "the sender goes away within a message", 1, func(d *peerDirection) {
		d.begun()
		d.closes(1, before+1)
	})
	add("unknown", "a code that is not known yet", 2, func(d *peerDirection) { d.closes(65535, before+2) })
	add("most", "as many messages as there can be", 1<<60, func(d *peerDirection) {
		d.Received = 0
		d.closes(2, 1<<60)
	})
	return all
}

func badCloses() (all []making) {
	add := func(name, comment string, reason string, say func(d *peerDirection)) {
		all = append(all, making{"bad-records-close-" + name, func() *vector {
			v := closesVector()
			v.Comment, v.Expect = comment, reason
			d := v.direction()
			d.say(typeData, nil, []byte("the sixth"))
			say(d)
			v.Records = v.Records[:len(v.Records)-1] // the last record is refused
			return v
		}})
	}
	wrong := ReasonClose.String()
	says := func(code uint16, last uint64) func(d *peerDirection) {
		return func(d *peerDirection) { d.closes(code, last) }
	}
	add("done-missing", "a close that says done, and that a message is missing", wrong, says(0, before+2))
	add("done-below", "a close that says done, and counts less than has arrived", wrong, says(0, before))
	add("below", "a close that counts less than has arrived", wrong, says(1, before))
	add("beyond", "a close that counts more messages than there can be", wrong, says(1, 1<<60+1))
	add("done-within", "a close that says done within a message, and does not count it", wrong, func(d *peerDirection) {
		d.begun()
		d.closes(0, before+1)
	})
	add("done-within-counted", "a close that says done within a message, and counts it", wrong, func(d *peerDirection) {
		d.begun()
		d.closes(0, before+2)
	})
	add("short", "a close without the number of the last message", wrong, func(d *peerDirection) {
		d.say(typeClose, []byte{0, 0}, nil)
	})
	add("behind", "a message behind a close", "closed", func(d *peerDirection) {
		d.closes(0, before+1)
		d.say(typeData, nil, []byte("one more"))
	})
	return all
}
