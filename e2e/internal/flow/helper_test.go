package flow

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// bystander is a User that wants nothing.
type bystander struct{ lost atomic.Int32 }

func (*bystander) Deliver(Incoming) error     { return nil }
func (*bystander) Streaming() bool            { return false }
func (b *bystander) Lost(*fault.CloseError)   { b.lost.Add(1) }
func (*bystander) Found(transport.Conn)       {}
func (*bystander) Decide(*Line, engine.Event) {}
func (*bystander) Renew()                     {}
func (*bystander) Tick()                      {}
func (*bystander) Ended(*fault.CloseError)    {}
func (*bystander) HungUp()                    {}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An end makes the engine's side of a session.
type end struct {
	identity  *keys.Identity
	handshake *engine.Handshake
}

func newEnd(name string, begin func(engine.Config, time.Time) (*engine.Handshake, error)) *end {
	identity := must(keys.GenerateIdentity(name))
	return &end{identity, must(begin(engine.Config{Identity: identity.Public(), Protocol: "test/1"}, time.Now()))}
}

// settle does what a step asks for until the other end is due.
func (e *end) settle(t testing.TB, step engine.Step, err error) (frame []byte) {
	t.Helper()
	for {
		if err != nil {
			t.Fatal(err)
		}
		if step.Frame != nil {
			frame = step.Frame
		}
		switch step.Next {
		case engine.Sign:
			step, err = e.handshake.Signed(time.Now(), must(e.identity.Signer().Sign(e.handshake.ToSign())))
		case engine.Decide:
			step, err = e.handshake.Accept(time.Now())
		default:
			return frame
		}
	}
}

func (e *end) flow(conn transport.Conn) *Flow {
	session := e.handshake.Session()
	f := New(context.Background(), session, &bystander{}, Config{
		Identity: e.identity, MaxMessage: engine.DefaultMaxMessage - engine.MaxHeader, Window: engine.DefaultWindow, SendTimeout: time.Minute,
	})
	f.Use(NewLine(conn, session.Link(), e.handshake.Hop()))
	f.Start()
	return f
}

// pair returns the flows of both ends of a session over a pipe.
func pair(t testing.TB) (c, s *Flow) {
	t.Helper()
	client, server := newEnd("client", engine.NewClient), newEnd("server", engine.NewServer)
	step, err := server.handshake.Start(time.Now())
	server.settle(t, step, err)
	step, err = client.handshake.Start(time.Now())
	for frame := client.settle(t, step, err); frame != nil; {
		step, err = server.handshake.Receive(time.Now(), frame)
		if frame = server.settle(t, step, err); frame != nil {
			step, err = client.handshake.Receive(time.Now(), frame)
			frame = client.settle(t, step, err)
		}
	}
	a, b := transport.Pipe()
	return client.flow(a), server.flow(b)
}

// hasKeys reports whether a flow could still seal or open.
func hasKeys(f *Flow) bool {
	half := func(name string) bool {
		return !reflect.ValueOf(f.Line().Link).Elem().FieldByName(name).FieldByName("aead").IsNil()
	}
	return half("send") || half("recv")
}

func mustSend(t testing.TB, f *Flow, message string) {
	t.Helper()
	if err := f.Submit(t.Context(), &Outgoing{Body: []byte(message)}); err != nil {
		t.Fatal(err)
	}
}

func mustReceive(t testing.TB, f *Flow, want string) {
	t.Helper()
	var m Incoming
	if got, err := f.Receive(t.Context(), nil, true, &m); err != nil || string(got) != want {
		t.Fatalf("%q, %v, want %q", got, err, want)
	}
}
