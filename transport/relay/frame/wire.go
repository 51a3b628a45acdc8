package frame

import "github.com/hopseal/hopseal/internal/strict"

// The kinds of frame: the first value of each.
const (
	kindJoin = 1 + iota
	kindLeave
	kindPublish
	kindJoined
	kindRefused
	kindEntered
	kindLeft
	kindMessage
	kindSend
	kindDirect
)

// memberSize is the least size of a member in a joined frame: the heads of an array, of 16 bytes,
// of a name and of a presence.
const memberSize = 1 + 2 + len(MemberID{}) + 1 + 2

// A Request is what a client sends: a [Join], [Leave], [Publish] or [Send].
type Request interface {
	// Append appends the frame to dst. Text that is not UTF-8 or above 1,024
	// bytes gives a frame that nobody accepts.
	Append(dst []byte) []byte
	request()
}

// An Event is what a relay sends: a [Joined], [Refused], [Entered], [Left],
// [Message] or [Direct].
type Event interface {
	// Append is like Request.Append.
	Append(dst []byte) []byte
	event()
}

// A Join asks for membership in a topic.
type Join struct {
	Topic    string
	Name     string
	Presence []byte
}

// A Leave ends a membership.
type Leave struct{ Topic string }

// A Publish goes to every other member of a topic.
type Publish struct {
	Topic   string
	Payload []byte
}

// A Send goes to one other member of a topic.
type Send struct {
	Topic   string
	To      MemberID
	Payload []byte
}

// A Joined answers a Join.
type Joined struct {
	Topic   string
	ID      MemberID // the client's own
	Members []Member // the others, longest there first
}

// A Refused answers any request.
type Refused struct {
	Topic string
	Code  Code
}

// An Entered says that somebody joined.
type Entered struct {
	Topic string
	Member
}

// A Left says that somebody is no longer there.
type Left struct {
	Topic string
	ID    MemberID
}

// A Message is what a member published.
type Message struct {
	Topic   string
	From    MemberID
	Payload []byte
}

// A Direct is what a member sent to this one alone.
type Direct struct {
	Topic   string
	From    MemberID
	Payload []byte
}

func (Join) request()    {}
func (Leave) request()   {}
func (Publish) request() {}
func (Send) request()    {}

func (Joined) event()  {}
func (Refused) event() {}
func (Entered) event() {}
func (Left) event()    {}
func (Message) event() {}
func (Direct) event()  {}

// Append appends the frame to dst.
func (f Join) Append(dst []byte) []byte {
	dst = start(dst, 4, kindJoin, f.Topic)
	return strict.AppendBin(strict.AppendStr(dst, f.Name), f.Presence)
}

// Append appends the frame to dst.
func (f Leave) Append(dst []byte) []byte { return start(dst, 2, kindLeave, f.Topic) }

// Append appends the frame to dst.
func (f Publish) Append(dst []byte) []byte {
	return strict.AppendBin(start(dst, 3, kindPublish, f.Topic), f.Payload)
}

// Append appends the frame to dst.
func (f Send) Append(dst []byte) []byte {
	dst = strict.AppendBin(start(dst, 4, kindSend, f.Topic), f.To[:])
	return strict.AppendBin(dst, f.Payload)
}

// Append appends the frame to dst.
func (f Joined) Append(dst []byte) []byte {
	dst = strict.AppendBin(start(dst, 4, kindJoined, f.Topic), f.ID[:])
	dst = strict.AppendArray(dst, len(f.Members))
	for _, m := range f.Members {
		dst = m.append(strict.AppendArray(dst, 3))
	}
	return dst
}

// Append appends the frame to dst.
func (f Refused) Append(dst []byte) []byte {
	return strict.AppendUint(start(dst, 3, kindRefused, f.Topic), uint64(f.Code))
}

// Append appends the frame to dst.
func (f Entered) Append(dst []byte) []byte {
	return f.Member.append(start(dst, 5, kindEntered, f.Topic))
}

// Append appends the frame to dst.
func (f Left) Append(dst []byte) []byte {
	return strict.AppendBin(start(dst, 3, kindLeft, f.Topic), f.ID[:])
}

// Append appends the frame to dst.
func (f Message) Append(dst []byte) []byte {
	dst = strict.AppendBin(start(dst, 4, kindMessage, f.Topic), f.From[:])
	return strict.AppendBin(dst, f.Payload)
}

// Append appends the frame to dst.
func (f Direct) Append(dst []byte) []byte {
	dst = strict.AppendBin(start(dst, 4, kindDirect, f.Topic), f.From[:])
	return strict.AppendBin(dst, f.Payload)
}

// start appends the beginning of every frame. values also counts kind and topic.
func start(dst []byte, values int, kind uint64, topic string) []byte {
	return strict.AppendStr(strict.AppendUint(strict.AppendArray(dst, values), kind), topic)
}

func (m Member) append(dst []byte) []byte {
	dst = strict.AppendStr(strict.AppendBin(dst, m.ID[:]), m.Name)
	return strict.AppendBin(dst, m.Presence)
}

// ParseRequest reads a frame of a client. Presence and payload are slices of b. The only error is
// ErrMalformed.
func ParseRequest(b []byte) (Request, error) {
	p := newParser(b)
	var f Request
	switch p.values<<8 | p.kind {
	case 4<<8 | kindJoin:
		f = Join{p.topic(), p.text(), p.bytes()}
	case 2<<8 | kindLeave:
		f = Leave{p.topic()}
	case 3<<8 | kindPublish:
		f = Publish{p.topic(), p.bytes()}
	case 4<<8 | kindSend:
		f = Send{p.topic(), p.id(), p.bytes()}
	default:
		p.Fail()
	}
	if err := p.Done(); err != nil {
		return nil, err
	}
	return f, nil
}

// ParseEvent reads a frame of a relay. Presence and payload are slices of b. The only error is
// ErrMalformed.
func ParseEvent(b []byte) (Event, error) {
	p := newParser(b)
	var f Event
	switch p.values<<8 | p.kind {
	case 4<<8 | kindJoined:
		f = Joined{p.topic(), p.id(), p.members()}
	case 3<<8 | kindRefused:
		f = Refused{p.topic(), p.code()}
	case 5<<8 | kindEntered:
		f = Entered{p.topic(), p.member()}
	case 3<<8 | kindLeft:
		f = Left{p.topic(), p.id()}
	case 4<<8 | kindMessage:
		f = Message{p.topic(), p.id(), p.bytes()}
	case 4<<8 | kindDirect:
		f = Direct{p.topic(), p.id(), p.bytes()}
	default:
		p.Fail()
	}
	if err := p.Done(); err != nil {
		return nil, err
	}
	return f, nil
}

// A parser reads the values of a frame in order.
type parser struct {
	strict.Reader
	size   int // bytes in the frame
	values int
	kind   int
}

func newParser(b []byte) *parser {
	p := &parser{Reader: strict.NewReader(b), size: len(b)}
	p.values = p.ArrayLen(2, 5)
	if kind := p.Uint(); kind <= kindDirect {
		p.kind = int(kind)
	}
	return p
}

func (p *parser) topic() string { return p.text() }
func (p *parser) text() string  { return p.Str(0, maxText) }
func (p *parser) bytes() []byte { return p.Bin(0, p.size) }

func (p *parser) id() (id MemberID) {
	copy(id[:], p.Bin(len(id), len(id)))
	return id
}

func (p *parser) code() Code {
	c := p.Uint()
	if c == 0 || c > 255 {
		p.Fail()
	}
	return Code(c)
}

func (p *parser) member() Member { return Member{p.id(), p.text(), p.bytes()} }

// members reads a list. It checks the list's length against the size of the frame, so that a short
// frame cannot cause a large allocation.
func (p *parser) members() []Member {
	n := p.ArrayLen(0, p.size/memberSize)
	list := make([]Member, 0, n)
	for range n {
		p.Array(3)
		list = append(list, p.member())
		if p.Failed() {
			return nil
		}
	}
	return list
}
