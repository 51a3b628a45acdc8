package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// mustWait reports whether a message was not taken, and may be later.
func mustWait(err error) bool { return errors.Is(err, engine.ErrBlocked) || err == errUnlinked }

// sendLater waits until the other end has made room, or there is a line again. It does
// not keep its turn meanwhile: acks have to pass, or two ends that both send would wait
// for ever. Only a peer that could make room has to do so in time: half of that time is
// for finding out whether it is there.
func (s *Session) sendLater(ctx context.Context, m *outgoing) error {
	p := s.patience()
	defer p.timer.Stop()
	for {
		news, moved := s.news.next(), s.moved.next()
		err := s.sendOnce(ctx, m)
		switch {
		case !mustWait(err):
			return err
		case err == errUnlinked:
			if err := s.linked(ctx, s.finishing); err != nil && err != errOther {
				return err
			}
			p.renew()
			continue
		}
		s.pump()
		select {
		case <-news:
			p.answered = true
		case <-moved:
			p.renew()
		case <-p.timer.C:
			p.passed()
		case <-s.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience is how long a message waits for the other end to make room.
type patience struct {
	session  *Session
	timer    *time.Timer // of one half of it
	asked    bool        // this is the second one
	answered bool        // in this half
	moved    uint64      // how far what this end sends had got when this half began
	came     uint64      // and what the other end sends
	behind   uint64      // how far that may get before an answer has to be among it
}

func (s *Session) patience() *patience {
	return &patience{session: s, timer: time.NewTimer(s.sendTimeout / 2), moved: s.engine.Moved(), came: s.engine.Came()}
}

// renew begins it anew, on another line.
func (p *patience) renew() {
	p.asked = false
	p.timer.Reset(p.session.sendTimeout / 2)
}

// passed is what follows at the end of each half. While others get on, or pieces arrive, whoever
// waits is only behind them. While the other end's messages come its answer may be behind those
// that were on their way, which windows bound.
func (p *patience) passed() {
	s := p.session
	moved, came := s.engine.Moved(), s.engine.Came()
	switch {
	case moved != p.moved:
		p.asked = false
	case p.asked && (p.answered || came == p.came || came > p.behind):
		s.stall(p.answered)
	case !p.asked:
		s.engine.Ask()
		s.control()
		p.asked, p.behind = true, came+uint64(4*s.window+2*s.party.cfg.MaxMessage)
	}
	p.moved, p.came, p.answered = moved, came, false
	p.timer.Reset(s.sendTimeout / 2)
}

// stall is what follows when the other end has made no room in time. One that is there
// and takes nothing is the end of the session. One that does not answer may have made
// room without our knowing: the line may have a hole, in one direction only, so that
// nobody has noticed.
func (s *Session) stall(answers bool) {
	why := &CloseError{Remote: true, Err: ErrStalled}
	if l := s.line.Load(); l != nil && !answers {
		s.lose(l, why)
		return
	}
	s.fail(why)
}

// arrived waits until every message through last has.
func (s *Session) arrived(ctx context.Context, last uint64) error {
	for {
		news, moved := s.news.next(), s.moved.next()
		if s.engine.Acked() >= last {
			return nil
		}
		if s.over() {
			return s.err
		}
		if err := awaitAnswer(ctx, s, news, moved); err != nil {
			return err
		}
	}
}

// awaitAnswer asks the other end what has arrived there, and waits until it is worth a look. The
// caller has taken both channels before its own look.
func awaitAnswer(ctx context.Context, s *Session, news, moved <-chan struct{}) error {
	s.engine.Ask()
	s.control()
	s.pump()
	select {
	case <-news:
	case <-moved: // the question may be lost
	case <-s.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// stuck gives a line up that takes nothing.
func (s *Session) stuck() {
	if l := s.line.Load(); l != nil {
		s.lose(l, &CloseError{Remote: true, Err: ErrStalled})
	}
}

// broadcast wakes everybody who waits for some.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits
}

// next returns what is closed by the next tell. Who looks at the state after next
// misses nothing.
func (n *broadcast) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *broadcast) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
