package streams_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/internal/engine"
)

// A sink is a session that takes whatever it is given.
type sink struct {
	sent atomic.Uint64
	done chan struct{}
}

func (s *sink) Submit(_ context.Context, m streams.Outgoing) (uint64, error) {
	number := s.sent.Add(1)
	if m.Writer != nil {
		m.Writer.Numbered(number)
	}
	return number, nil
}

func (s *sink) Await(context.Context, uint64) error { return nil }
func (s *sink) Sent() uint64                        { return s.sent.Load() }
func (s *sink) Acked() uint64                       { return s.sent.Load() }
func (s *sink) AnswersTo(messages uint64) uint64    { return messages }
func (s *sink) Consumed(uint64, int)                {}
func (s *sink) Want()                               {}
func (s *sink) Unwant()                             {}
func (s *sink) Stored() bool                        { return false }
func (s *sink) Done() <-chan struct{}               { return s.done }
func (s *sink) Err() *fault.CloseError              { return nil }

// A player does to streams what its script says: it is the peer, and the application too.
type player struct {
	*streams.Streams
	t       *testing.T
	number  uint64 // of the peer's last message
	readers map[uint64]*streams.Reader
	unread  map[uint64]int // bytes of pieces, by stream
	waiting int            // streams that Accept would return
	begun   int            // streams of this end's
}

// FuzzA32Deliver has a peer send any messages, while the application reads some of the streams
// and gives others up. Whatever was not refused keeps to what may be unread.
func FuzzA32Deliver(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 0, 1, 1, 255, 9, 1, 255, 2, 1, 0, 9, 1, 255})
	f.Add([]byte{0, 0, 0, 8, 0, 0, 1, 1, 9, 10, 1, 0, 1, 1, 9, 3, 1, 0})
	f.Add([]byte{11, 0, 0, 4, 1, 0, 11, 0, 0, 5, 3, 2, 12, 1, 0, 6, 1, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		life, conclude := context.WithCancel(context.Background())
		defer conclude()
		p := &player{t: t, readers: map[uint64]*streams.Reader{}, unread: map[uint64]int{}}
		p.Streams = streams.New(&sink{done: make(chan struct{})}, life, streams.Limits{Window: window, MaxMessage: 1 << 20})
		for ; len(script) >= 3 && p.step(life, script[0]%13, uint64(script[1]), int(script[2])); script = script[3:] {
			p.check()
		}
	})
}

// step does one thing. It reports false if the peer's message was refused.
func (p *player) step(life context.Context, what byte, which uint64, size int) bool {
	switch r := p.readers[which]; {
	case what < 8:
		return p.message(engine.KindStreamOpen+engine.Kind(what%7), which, size)
	case what == 8 && p.waiting > 0 && len(p.readers) < streams.Max:
		p.accept(life)
	case what == 9 && p.unread[which] > 0 && r != nil:
		n, _ := r.Read(make([]byte, 1+size*256))
		p.unread[which] -= n
	case what == 10 && r != nil:
		r.Close()
		delete(p.readers, which)
		delete(p.unread, which)
	case what == 11 && p.begun < streams.Max: // else Open would wait
		p.begun++
		p.send(life, size)
	}
	return true
}

// message is one of the peer's.
func (p *player) message(kind engine.Kind, answers uint64, size int) bool {
	m := streams.Incoming{Header: engine.Header{Kind: kind, Answers: answers}}
	switch kind {
	case engine.KindStreamOpen:
		m.Answers = 0
	case engine.KindStreamPiece:
		m.Body = make([]byte, size*256)
	case engine.KindStreamEnd:
		m.Body = u64(uint64(size) * 256)
	case engine.KindStreamCredit:
		m.Body = u64(uint64(size) << 10)
	}
	p.number++
	m.Number, m.Size = p.number, len(m.Body)
	if !p.Deliver(m) {
		return false
	}
	p.count(m)
	return true
}

// count notes what a message has changed.
func (p *player) count(m streams.Incoming) {
	_, wanted := p.unread[m.Answers]
	switch {
	case m.Kind == engine.KindStreamOpen:
		p.unread[m.Number] = 0
		p.waiting++
	case m.Kind == engine.KindStreamPiece && wanted:
		p.unread[m.Answers] += len(m.Body)
	case m.Kind == engine.KindStreamAbort && wanted:
		if delete(p.unread, m.Answers); p.readers[m.Answers] == nil {
			p.waiting--
		}
	}
}

func (p *player) accept(life context.Context) {
	r, err := p.Accept(life)
	if err != nil {
		p.t.Fatal(err)
	}
	p.readers[r.ID] = r
	p.waiting--
}

// send begins a stream, and completes it or gives it up.
func (p *player) send(life context.Context, size int) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	if size%4 == 3 {
		cancel()
	}
	w, err := p.Open(ctx, "", nil)
	if err != nil {
		return
	}
	w.Write(make([]byte, min(size*64, firstCredit)))
	if size%2 == 0 {
		w.Finish()
	}
}

func (p *player) check() {
	all := 0
	for id, n := range p.unread {
		if n < 0 {
			p.t.Fatalf("more was read of stream %d than there was", id)
		}
		all += n
	}
	if all > window+streams.Max*firstCredit {
		p.t.Fatalf("%d bytes are unread", all)
	}
}
