package e2e

import (
	"context"
	"reflect"
	"time"

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
		return !reflect.ValueOf(s.flow.Line().Link).Elem().FieldByName(name).FieldByName("aead").IsNil()
	}
	return half("send") || half("recv")
}

// ConnOf returns the connection under a session.
func ConnOf(s *Session) transport.Conn { return s.flow.Line().Conn }

// Secrets returns the secrets of a session that is not in use.
func Secrets(s *Session) (out [][]byte) {
	for _, name := range []string{"send", "recv"} {
		chain := reflect.ValueOf(s.flow.Line().Link).Elem().FieldByName(name).FieldByName("chain")
		b := make([]byte, chain.Len())
		for i := range b {
			b[i] = byte(chain.Index(i).Uint())
		}
		out = append(out, b)
	}
	return out
}

// IDOf returns the id of a session, which is a secret of its ends.
func IDOf(s *Session) []byte {
	id := s.engine.ID()
	return id[:]
}

// SendRaw sends a message that no honest session writes, header and all.
func SendRaw(s *Session, message []byte) (err error) {
	holdSends(s, func() {
		l := s.flow.Line()
		var frame []byte
		if frame, err = l.Link.Seal(time.Now(), nil, nil, message); err == nil {
			err = l.Conn.Write(context.Background(), frame)
		}
	})
	return err
}

// ForgetEngine holds the moment still in which a session ends, has forgotten what it would
// send, and has not said so yet.
func ForgetEngine(s *Session) { s.engine.Conclude() }

// holdSends runs f while a session can tell the other end nothing.
func holdSends(s *Session, f func()) {
	turn := reflect.ValueOf(s.flow).Elem().FieldByName("send").FieldByName("turn")
	sending := *(*chan struct{})(turn.Addr().UnsafePointer())
	sending <- struct{}{}
	f()
	<-sending
	s.flow.Schedule()
}
