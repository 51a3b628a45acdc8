package main

import (
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// An end is one end of a handshake or a resume, without a connection.
type end interface {
	Start(now time.Time) (engine.Step, error)
	Receive(now time.Time, frame []byte) (engine.Step, error)
	Accept(now time.Time) (engine.Step, error)
}

// settle does what steps ask for until the other end is due, and returns what to send.
func settle(e end, id *keys.Identity, step engine.Step, err error) (frame []byte, _ error) {
	for err == nil {
		if step.Frame != nil {
			frame = step.Frame
		}
		switch step.Next {
		case engine.Sign:
			h := e.(*engine.Handshake)
			var signature []byte
			if signature, err = id.Signer().Sign(h.ToSign()); err == nil {
				step, err = h.Signed(time.Now(), signature)
			}
		case engine.Decide:
			step, err = e.Accept(time.Now())
		default:
			return frame, nil
		}
	}
	return nil, err
}

// A couple is two identities whose engines talk to each other.
type couple struct {
	alice, bob         *keys.Identity
	atClient, atServer engine.Config
}

func newCouple() (couple, error) {
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		return couple{}, err
	}
	bob, err := keys.GenerateIdentity("bob")
	config := func(id *keys.Identity) engine.Config {
		return engine.Config{Identity: id.Public(), Protocol: "bench/1", Window: engine.MaxWindow, KeepAlive: -1}
	}
	if err != nil {
		return couple{}, err
	}
	return couple{alice, bob, config(alice), config(bob)}, nil
}

// run passes frames between two ends until both are done.
func (c couple) run(client, server end) error {
	if _, err := server.Start(time.Now()); err != nil {
		return err
	}
	step, err := client.Start(time.Now())
	frame, err := settle(client, c.alice, step, err)
	for err == nil && frame != nil {
		step, err = server.Receive(time.Now(), frame)
		if frame, err = settle(server, c.bob, step, err); err != nil || frame == nil {
			return err
		}
		step, err = client.Receive(time.Now(), frame)
		frame, err = settle(client, c.alice, step, err)
	}
	return err
}

func (c couple) meet() (client, server *engine.Session, _ error) {
	a, err := engine.NewClient(c.atClient, time.Now())
	if err != nil {
		return nil, nil, err
	}
	b, err := engine.NewServer(c.atServer, time.Now())
	if err == nil {
		err = c.run(a, b)
	}
	if err == nil && (a.Session() == nil || b.Session() == nil) {
		err = errors.New("no session came about")
	}
	return a.Session(), b.Session(), err
}

func (c couple) resume(client, server *engine.Session) error {
	a, err := engine.NewResume(c.atClient, client, time.Now())
	if err != nil {
		return err
	}
	b, err := engine.AnswerResume(c.atServer, server, time.Now())
	if err == nil {
		err = c.run(a, b)
	}
	if err == nil && (a.Link() == nil || b.Link() == nil) {
		err = errors.New("no link came about")
	}
	return err
}

// sessionResumeRows hold a resume against a handshake, both without a connection.
func sessionResumeRows(e effort) ([]row, error) {
	c, err := newCouple()
	if err != nil {
		return nil, err
	}
	client, server, err := c.meet()
	if err != nil {
		return nil, err
	}
	var f failed
	r := comparison{
		a: func(int) { f.check(c.resume(client, server)) },
		b: func(int) { _, _, err := c.meet(); f.check(err) },
	}.fit(e).run().against(goal{"ratio <= 0.5", func(r row) bool { return r.Ratio <= 0.5 }})
	r.What, r.Against = "session, resume", "a handshake"
	return []row{r}, f.err
}

// inFlight is how many records are sealed before they are opened.
const inFlight = 48

// A recorder seals records and opens them in their order.
type recorder struct {
	from, to       *engine.Link
	client, server *engine.Session
	frames         [inFlight][]byte
	sealed, opened int
	message, dst   []byte
}

func newRecorder(size int) (*recorder, error) {
	c, err := newCouple()
	if err != nil {
		return nil, err
	}
	r := &recorder{message: message(size)}
	if r.client, r.server, err = c.meet(); err == nil {
		r.from, r.to = r.client.Link(), r.server.Link()
	}
	return r, err
}

func (r *recorder) seal() (err error) {
	r.frames[r.sealed], err = r.from.Seal(begun, r.frames[r.sealed][:0], nil, r.message)
	r.sealed++
	return err
}

func (r *recorder) open() (err error) {
	r.dst, _, err = r.to.Open(begun, r.dst[:0], r.frames[r.opened])
	r.opened++
	r.server.Consumed(begun, len(r.message))
	return err
}

// settle opens what was sealed and has it acknowledged.
func (r *recorder) settle() error {
	for r.opened < r.sealed {
		if err := r.open(); err != nil {
			return err
		}
	}
	r.sealed, r.opened = 0, 0
	r.client.Ask()
	for _, way := range [][2]*engine.Link{{r.from, r.to}, {r.to, r.from}} {
		frame, err := way[0].Control(begun, nil)
		if err == nil && frame != nil {
			_, _, err = way[1].Open(begun, nil, frame)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill makes records to open.
func (r *recorder) fill() error {
	err := r.settle()
	for err == nil && r.sealed < inFlight {
		err = r.seal()
	}
	return err
}

// sessionRecordRows hold records against bare AES-256-GCM.
func sessionRecordRows(e effort) ([]row, error) {
	const size = 1 << 10
	ours, err := newRecorder(size)
	if err != nil {
		return nil, err
	}
	bare, err := newGCM()
	if err != nil {
		return nil, err
	}
	plaintext := message(size)
	if err := bare.roundTrip(plaintext); err != nil {
		return nil, err
	}
	var f failed
	g := goal{"ratio <= 1.3, 0 allocations", func(r row) bool { return r.Ratio <= 1.3 && r.Allocations == 0 }}
	measure := func(what string, prepare, a, b func() error) row {
		c := comparison{rounds: int(max(time.Duration(e.least), e.span/(50*time.Microsecond))), calls: inFlight,
			prepare: func() { f.check(prepare()) },
			a:       func(int) { f.check(a()) },
			b:       func(int) { f.check(b()) },
		}
		r := c.run().against(g)
		r.What, r.Against = "record, "+what+" "+bytesText(size), "AES-256-GCM"
		return r
	}
	rows := []row{
		measure("seal", ours.settle, ours.seal, func() error { return bare.seal(plaintext) }),
		measure("open", ours.fill, ours.open, func() error { _, err := bare.open(); return err }),
	}
	return rows, f.err
}
