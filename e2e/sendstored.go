package e2e

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// A queuedSend is a message that waits to be stored.
type queuedSend struct {
	*outgoing
	done chan struct{}
	err  error // once done is closed
}

func (l *queuedSend) finish(err error) {
	l.err = err
	close(l.done)
}

func (l *queuedSend) wait() error {
	<-l.done
	return l.err
}

// A spool is what a session that is stored holds between its store and its application.
type spool struct {
	session *Session
	records records

	mu      sync.Mutex    // guards what follows
	pending []*queuedSend // messages that wait to be stored, in the order of their Sends
	handed  []incoming    // messages that the application was given, and may be busy with
}

// records keep the stored record of one session up to date.
type records interface {
	// Sync saves what must be saved before the next frame is written.
	Sync() error

	// Save saves the session, whether it has changed or not.
	Save(ctx context.Context) error

	// End is called once, when the session is over. The record stays if the session goes on elsewhere.
	End(stays bool)
}

// hand remembers a message that the application was given.
func (k *spool) hand(m incoming) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.body = nil
	k.handed = append(k.handed, m)
}

// askedBehind is called when the application is done with everything that it was given.
func (k *spool) askedBehind() {
	k.mu.Lock()
	handed := k.handed
	k.handed = nil
	k.mu.Unlock()
	for _, m := range handed {
		k.session.consumed(m)
	}
}

// overInStore reports whether nothing has to be stored any more because the session is over for
// good. What was sealed before is written all the same, or nothing could follow it.
func (s *Session) overInStore(err error) bool {
	if !errors.Is(err, engine.ErrClosed) {
		return false
	}
	<-s.ended // whoever ends the session has not said so yet
	return !s.err.Stored
}

// unkept ends a session whose store has failed. What was stored stays there.
func (s *Session) unkept(err error) error {
	switch {
	case errors.Is(err, engine.ErrClosed): // which is no fault of the store
		<-s.ended // whoever ends the session has not said so yet
		return s.err
	case s.over():
		return s.err
	case errors.Is(err, sessionstore.ErrFenced):
		return s.fail(&CloseError{Err: sessionstore.ErrFenced, Stored: true})
	}
	return s.fail(&CloseError{Err: err, Stored: true})
}

// sendStored sends a message of a session that is stored. It returns once the message is
// stored, with its number: then it arrives, or is in the gap. Whoever has the turn stores
// the messages of all who wait in one go.
func (s *Session) sendStored(ctx context.Context, message *outgoing) error {
	own := *message // so that without a store messages need no memory of their own
	defer func() { message.number = own.number }()
	m := &queuedSend{outgoing: &own, done: make(chan struct{})}
	s.spool.post(m)
	p := s.patience()
	defer p.timer.Stop()
	for {
		news, moved := s.news.next(), s.moved.next()
		if s.closing() && s.spool.withdraw(m) {
			return s.finished()
		}
		err := s.enterOr(ctx, &s.send, m.done)
		if err == nil {
			err = s.sendPosted()
			s.leaveSend()
		}
		if err == errUnsigned {
			if err = s.signPosted(ctx, m); err == nil {
				continue
			}
		}
		switch {
		case err == nil || err == errOther:
			return m.wait()
		case mustWait(err):
		case s.spool.withdraw(m):
			return err
		}
		wait := moved // what it says without a line
		if err != errUnlinked {
			wait = news
			s.pump()
		}
		select {
		case <-m.done:
			return m.err
		case <-wait: // and then again
			p.answered = true
		case <-moved:
			p.renew()
		case <-p.timer.C:
			if s.line.Load() == nil {
				p.renew()
			} else {
				p.passed()
			}
		case <-s.ended:
			if s.spool.withdraw(m) {
				return s.err
			}
			return m.wait()
		case <-ctx.Done():
			if s.spool.withdraw(m) {
				return ctx.Err()
			}
			return m.wait()
		}
	}
}

// post puts a message in line.
func (k *spool) post(m *queuedSend) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending = append(k.pending, m)
}

// withdraw takes a message out of the line, and reports whether it was still there.
func (k *spool) withdraw(m *queuedSend) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.Index(k.pending, m)
	if i >= 0 {
		k.pending = slices.Delete(k.pending, i, i+1)
	}
	return i >= 0
}

// take numbers as many messages as there is room for. One that has to wait keeps back
// those of its kind only: an answer may pass it.
func (k *spool) take(now time.Time) (taken []*queuedSend, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var left []*queuedSend
	for i, m := range k.pending {
		if err != nil && !m.Kind.Free() {
			left = append(left, m)
			continue
		}
		switch failed := k.number(now, m); {
		case failed == nil:
			taken = append(taken, m)
		case mustWait(failed):
			left, err = append(left, m), failed
		case failed == errUnsigned, errors.Is(failed, engine.ErrClosed):
			k.pending = append(left, k.pending[i:]...)
			return taken, failed
		default:
			m.finish(failed)
		}
	}
	k.pending = left
	return taken, err
}

// number gives a message its number, if it is signed as the one of that or need not be.
func (k *spool) number(now time.Time, m *queuedSend) error {
	s := k.session
	switch m.Time = now; {
	case !s.signs(m.Kind):
	case !s.engine.Room(m.Kind):
		return engine.ErrBlocked
	case !m.signed.as(s.engine.Sent() + 1):
		return errUnsigned
	default:
		m.Time = m.signed.at
	}
	var header [engine.MaxHeader]byte
	err := s.engine.Queue(now, append(m.Append(header[:0]), m.signed.bytes()...), m.body)
	switch {
	case errors.Is(err, engine.ErrFinished):
		return s.finished()
	case err != nil:
		return err
	}
	s.numbered(m.outgoing, s.engine.Sent())
	return nil
}

// sendPosted stores and sends what is in line. It is called under send. The error says
// why something is left there.
func (s *Session) sendPosted() error {
	l := s.line.Load()
	if l == nil {
		return errUnlinked
	}
	now := time.Now()
	taken, left := s.spool.take(now)
	if len(taken) > 0 {
		if err := s.spool.records.Sync(); err != nil {
			err = s.unkept(err)
			for _, m := range taken {
				m.finish(err)
			}
			return err
		}
		s.limits.touch(now)
		for _, m := range taken {
			m.finish(nil)
		}
	}
	// What was numbered is behind what this line has carried, if anything is.
	if err := s.sendAgain(l); err != nil && err != errUnlinked {
		return err
	}
	if errors.Is(left, engine.ErrClosed) {
		<-s.ended // whoever ends the session has not said so yet
		return s.err
	}
	return left
}
