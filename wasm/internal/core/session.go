package core

import (
	"cmp"
	"context"

	"github.com/hopseal/hopseal/e2e"
)

// A session is what JavaScript has a handle of.
type session struct {
	*e2e.Session
	sends queue // in the order of the calls
}

func (b callbacks) session(s *e2e.Session) *session {
	return &session{Session: s, sends: queue{office: b.office}}
}

// appendSession: session handle, restored number, info.
func (c *Core) appendSession(out []byte, s *session) ([]byte, error) {
	out, err := c.objects.appendHandle(out, s)
	if err != nil {
		return nil, err
	}
	restored := uint32(0)
	if s.Restored() {
		restored = 1
	}
	return appendInfo(appendUint32(out, restored), s), nil
}

// appendInfo: id text, protocol text, largest message number, TLS of the hop text, kind text, remote
// text, peer's public identity.
func appendInfo(out []byte, s *session) []byte {
	info := s.Info()
	out = appendUint32(appendText(appendText(out, info.ID), info.Protocol), uint32(info.MaxMessage))
	out = appendText(out, info.HopTLS.String())
	out = appendText(appendText(out, info.Transport.Kind), info.Transport.Remote)
	return appendPeer(out, s.Peer().PublicIdentity)
}

// connect: a client, see readClient → session.
func (c *Core) connect(r *request) (job, error) {
	e, address, cfg := c.readClient(r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) {
		s, err := e2e.DialFunc(ctx, address, cfg, e.dial(address, e2e.MaxFrame(cmp.Or(cfg.MaxMessage, 1<<20))))
		if err != nil {
			return nil, err
		}
		out, err := c.appendSession(nil, e.session(s))
		if err != nil {
			s.Close()
		}
		return out, err
	}, nil
}

// sessionSend: session handle, type text, data bytes → number of the message serial. It is not done
// before the message is with the session. Sends of a session happen in the order of the calls.
func (c *Core) sessionSend(r *request) (*queue, job, error) {
	s, typ, data := required[*session](r), r.text(), r.clone()
	if err := r.done(); err != nil {
		return nil, nil, err
	}
	return &s.sends, func(ctx context.Context) ([]byte, error) {
		defer clear(data)
		id, err := s.SendMessage(ctx, typ, data)
		return appendUint64(nil, id), err
	}, nil
}

// sessionReceive: session handle → message.
func (c *Core) sessionReceive(r *request) (job, error) {
	s := required[*session](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) {
		m, err := s.ReceiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		return appendMessage(nil, m), nil
	}, nil
}

// appendMessage: type text, number serial, time, data bytes, proof bytes.
func appendMessage(out []byte, m e2e.Message) []byte {
	out = appendTime(appendUint64(appendText(out, m.Type), m.ID), m.Time)
	return appendBytes(appendBytes(out, m.Data), m.Proof)
}

// sessionCall: session handle, type text, data bytes → answer bytes.
func (c *Core) sessionCall(r *request) (job, error) {
	s, typ, data := required[*session](r), r.text(), r.clone()
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) {
		defer clear(data)
		answer, err := s.Call(ctx, typ, data)
		return appendBytes(nil, answer), err
	}, nil
}

// sessionServe: session handle, key of who serves number, concurrent number, timeout number in milliseconds → nothing, once
// the session has ended.
func (c *Core) sessionServe(r *request) (job, error) {
	s, by := required[*session](r), callbacks{&c.office, c, r.uint32()}
	options := &e2e.ServeOptions{Concurrent: int(r.uint32()), Timeout: r.duration(), OnError: func(*e2e.Request, error) {}}
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) { return nil, s.Serve(ctx, by.request, options) }, nil
}

// request has JavaScript serve a message.
//
//	reply = 0, answer bytes
//	      | 1, why it is refused number
//	      | 2, code number, text
func (b callbacks) request(ctx context.Context, m *e2e.Request) ([]byte, error) {
	oneWay := uint32(0)
	if m.OneWay {
		oneWay = 1
	}
	r, err := b.run(ctx, callRequest, appendMessage(appendUint32(nil, oneWay), m.Message))
	if err != nil {
		return nil, err
	}
	switch r.uint32() {
	case 0:
		answer := r.bytes()
		return answer, r.done()
	case 1:
		return nil, e2e.Refuse(e2e.Refusal(r.uint32()), r.done())
	}
	reply := &e2e.ReplyError{Code: uint16(r.uint32()), Text: r.text()}
	if err := r.done(); err != nil {
		return nil, err
	}
	return nil, reply
}

// onSession makes an operation of a session that waits and has no other arguments.
func onSession(do func(c *Core, ctx context.Context, s *session) ([]byte, error)) func(c *Core, r *request) (job, error) {
	return func(c *Core, r *request) (job, error) {
		s := required[*session](r)
		if err := r.done(); err != nil {
			return nil, err
		}
		return func(ctx context.Context) ([]byte, error) { return do(c, ctx, s) }, nil
	}
}

// sessionFlush: session handle → nothing, once all that was sent before has arrived.
func (c *Core) sessionFlush(r *request) (job, error) {
	s := required[*session](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	sent := s.sends.turn()
	return func(ctx context.Context) ([]byte, error) {
		sent(ctx)
		return nil, s.Flush(ctx)
	}, nil
}

// sessionClose: session handle, code number, how long everything may take to arrive number in
// milliseconds → nothing. What was sent before is sent first.
func (c *Core) sessionClose(r *request) (job, error) {
	s, code, patience := required[*session](r), e2e.Code(r.uint32()), r.duration()
	if err := r.done(); err != nil {
		return nil, err
	}
	sent := s.sends.turn()
	return func(ctx context.Context) ([]byte, error) {
		if patience >= 0 {
			var stop func()
			ctx, stop = context.WithTimeout(ctx, patience)
			defer stop()
		}
		sent(ctx)
		return nil, s.CloseWith(ctx, code)
	}, nil
}

// sessionEnded: session handle → error that says how the session ended, once it has.
func sessionEnded(_ *Core, ctx context.Context, s *session) ([]byte, error) {
	select {
	case <-s.Done():
		return nil, s.Send(ctx, nil) // which returns how the session ended
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sessionInfo: session handle → info.
func sessionInfo(_ *Core, _ context.Context, s *session) ([]byte, error) {
	return appendInfo(nil, s), nil
}

// sessionRenew: session handle → nothing.
func sessionRenew(_ *Core, ctx context.Context, s *session) ([]byte, error) {
	return nil, s.Renew(ctx)
}

// sessionRecheck: session handle → nothing.
func sessionRecheck(_ *Core, ctx context.Context, s *session) ([]byte, error) {
	return nil, s.Recheck(ctx)
}

// sessionStats: session handle → serials of messages sent, received, bytes sent, received, refused,
// turned down, unacknowledged, resent, resumes, rekeys.
func sessionStats(_ *Core, _ context.Context, s *session) (out []byte, _ error) {
	of := s.Stats()
	for _, n := range []uint64{of.MessagesSent, of.MessagesReceived, of.BytesSent, of.BytesReceived,
		of.MessagesRefused, of.MessagesTurnedDown, of.Unacked, of.Resent, of.Resumes, of.Rekeys} {
		out = appendUint64(out, n)
	}
	return out, nil
}
