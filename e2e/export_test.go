package e2e

import (
	"context"
	"reflect"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// Defaults of Config and ServerConfig.
const (
	DefaultMaxMessage              = defaultMaxMessage
	DefaultWindow                  = defaultWindow
	DefaultKeepAlive               = engine.DefaultKeepAlive
	DefaultHandshakeTimeout        = defaultHandshakeTimeout
	DefaultSendTimeout             = defaultSendTimeout
	DefaultParkTimeout             = defaultParkTimeout
	DefaultMaxHandshakesPerAddress = defaultMaxHandshakesPerAddress
)

// HasKeys reports whether a session could still seal or open.
func HasKeys(s *Session) bool {
	half := func(name string) bool {
		return !reflect.ValueOf(s.line.Load().link).Elem().FieldByName(name).FieldByName("aead").IsNil()
	}
	return half("send") || half("recv")
}

// ConnOf returns the connection under a session.
func ConnOf(s *Session) transport.Conn { return s.line.Load().conn }

// Secrets returns the secrets of a session that is not in use.
func Secrets(s *Session) (out [][]byte) {
	for _, name := range []string{"send", "recv"} {
		chain := reflect.ValueOf(s.line.Load().link).Elem().FieldByName(name).FieldByName("chain")
		b := make([]byte, chain.Len())
		for i := range b {
			b[i] = byte(chain.Index(i).Uint())
		}
		out = append(out, b)
	}
	return out
}

// EndWhileDue ends a session, without hanging up yet, while a Send is under way and a
// control record is due. The Send then leaves.
func EndWhileDue(s *Session) {
	s.send.turn <- struct{}{}
	s.engine.Ask()
	s.end(&CloseError{Code: CodeGoingAway})
	s.leaveSend()
}

// LeaveBeforeGoodbye is Close with the moment held still in which the session is
// over, its goodbye is not yet sealed, and a Receive finds out and leaves.
func LeaveBeforeGoodbye(s *Session) error {
	s.end(&CloseError{Code: CodeGoingAway})
	s.recv.turn <- struct{}{}
	s.leave(&s.recv)
	err := s.sayGoodbye(CodeGoingAway)
	s.hangUp(transport.CodeNormal)
	return err
}

// IDOf returns the id of a session, which is a secret of its ends.
func IDOf(s *Session) []byte {
	id := s.engine.ID()
	return id[:]
}

// SendRaw sends a message that no honest session writes, header and all.
func SendRaw(s *Session, message []byte) error {
	s.send.turn <- struct{}{}
	defer s.leaveSend()
	l := s.line.Load()
	frame, err := l.link.Seal(time.Now(), nil, nil, message)
	if err != nil {
		return err
	}
	return s.write(context.Background(), l, time.Now(), frame)
}

// ParseRefusal reads the body of a refusal.
func ParseRefusal(id uint64, body []byte) (error, bool) { return fault.ParseRefusal(id, body) }

// AppendRefusal writes the body that stands for an error.
func AppendRefusal(err error) []byte {
	if reply, ok := err.(*ReplyError); ok {
		return fault.AppendRefusal(nil, RefusedFailed, reply)
	}
	return fault.AppendRefusal(nil, err.(*RefusedError).Reason, nil)
}

// ForgetEngine holds the moment still in which a session ends, has forgotten what it would
// send, and has not said so yet.
func ForgetEngine(s *Session) { s.engine.Conclude() }

// Overtake gives a session another connection beside one that attach did not see.
func Overtake(s *Session, conn transport.Conn) {
	if s.overtake(&line{conn: conn, link: s.engine.Link(), gone: make(chan struct{})}) {
		s.leave(&s.send)
	}
}
