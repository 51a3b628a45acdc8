package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/explore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A judge is the server's Verifier.
type judge struct {
	mu       sync.Mutex
	answers  []opinion
	accepted map[uint64]bool // statements, by their serial
	refused  bool
}

var errUnsure = errors.New("cannot tell")

func (j *judge) next() (a opinion) {
	j.mu.Lock()
	defer j.mu.Unlock()
	a.what = "yes"
	if len(j.accepted) > 0 && len(j.answers) > 0 { // the handshake is accepted
		a, j.answers = j.answers[0], j.answers[1:]
	}
	return a
}

func (j *judge) Verify(_ context.Context, _ trust.Expected, got *keys.PublicIdentity) error {
	a := j.next()
	time.Sleep(a.after)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch a.what {
	case "unsure":
		return errUnsure
	case "no":
		j.refused = true
		return errNo
	}
	j.accepted[got.Serial()] = true
	return nil
}

// knows reports whether a statement was accepted.
func (j *judge) knows(serial uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.accepted[serial]
}

func (j *judge) hasRefused() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refused
}

// A judgedRun is such a plan that is carried out.
type judgedRun struct {
	run
	planned  judgedPlan
	judge    judge
	carol    *keys.Identity
	road     *road
	ends     [2]*e2e.Session
	shutDown func()
	leave    chan error // the server's function returns it

	accepted [2]int // messages that Send has returned nil for
	ended    [2]error
	success  [2]bool // Close has returned nil
}

// held has the hop hold back the second frame of each client's connection as planned.
func (r *judgedRun) held(conn transport.Conn) transport.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.planned.holds) == 0 || r.ends[0] == nil {
		return conn
	}
	hold := r.planned.holds[0]
	r.planned.holds = r.planned.holds[1:]
	return &late3{Conn: conn, hold: hold}
}

// A late3 connection gives its reader the second frame late.
type late3 struct {
	transport.Conn
	hold  time.Duration
	reads int
}

func (c *late3) Read(ctx context.Context, dst []byte) ([]byte, error) {
	frame, err := c.Conn.Read(ctx, dst)
	if c.reads++; c.reads == 2 && err == nil {
		time.Sleep(c.hold) // whatever becomes of the connection meanwhile
	}
	return frame, err
}

// jammed has the hop stop reading as planned.
func (r *judgedRun) jammed(conn transport.Conn) transport.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.planned.jams) == 0 {
		return conn
	}
	j := r.planned.jams[0]
	r.planned.jams = r.planned.jams[1:]
	v := new(valve)
	v.shut()
	time.AfterFunc(j.hold, v.open)
	return v.behind(conn, j.nth-1)
}

// configs returns those of server and client.
func (r *judgedRun) configs() (server e2e.ServerConfig, client e2e.Config) {
	server, client = hosting(bob), trusting(r.carol, bob)
	server.Verifier = &r.judge
	server.Window, client.Window = 64<<10, 64<<10
	client.HandshakeTimeout = 2 * time.Second
	client.Retry = redial.Policy{Base: 10 * time.Millisecond, Cap: 200 * time.Millisecond, MaxTime: 5 * time.Minute}
	if r.planned.life > 0 {
		client.Credentials = func(context.Context) ([]byte, error) { return time.Now().Add(r.planned.life).MarshalBinary() }
		server.Authenticate = func(_ context.Context, _ e2e.Peer, token []byte) (e2e.Grant, error) {
			var until time.Time
			if until.UnmarshalBinary(token) != nil || time.Now().After(until) {
				return e2e.Grant{}, e2e.ErrCredentials
			}
			return e2e.Grant{}, nil
		}
	}
	return server, client
}

func (r *judgedRun) begin(t *testing.T) {
	scfg, ccfg := r.configs()
	sessions := make(chan *e2e.Session, 1)
	srv := newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
		sessions <- s
		select {
		case err := <-r.leave:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	r.road = &road{srv: srv, atServer: r.held, atClient: r.jammed}
	r.shutDown = func() { srv.Shutdown(context.Background()) }
	ends := [2]*e2e.Session{r.road.client(t, ccfg), <-sessions}
	r.mu.Lock()
	r.ends = ends
	r.mu.Unlock()
}

// say does what the plan has for an end's sender, until no more is taken.
func (r *judgedRun) speak(end int) {
	s := r.ends[end]
	for i, turn := range r.turns[end] {
		switch turn.what {
		case "wait":
			time.Sleep(turn.wait)
		case "flush":
			s.Flush(context.Background())
		case "send":
			message := fmt.Sprintf("%d of %d %0*d", i, end, turn.size, 0)
			r.mu.Lock()
			r.sent[end] = append(r.sent[end], message)
			r.mu.Unlock()
			if s.Send(context.Background(), []byte(message)) != nil {
				return // and whether it is among what was sent, the close says
			}
			r.mu.Lock()
			r.accepted[end]++
			r.mu.Unlock()
		}
	}
}

// hear receives until the session ends.
func (r *judgedRun) listen(end int) {
	s, from := r.ends[end], 1-end
	for i := 0; ; i++ {
		if n := len(r.readings[end]); n > 0 && i < 50 {
			time.Sleep(r.readings[end][i%n].rest)
		}
		message, err := s.Receive(context.Background())
		if end == 1 && !r.judge.knows(s.Peer().Serial()) {
			r.fail("the peer is one that the Verifier has not accepted")
		}
		r.mu.Lock()
		n := len(r.received[from])
		if err != nil {
			r.ended[end] = err
			r.mu.Unlock()
			return
		}
		wrong := n >= len(r.sent[from]) || string(message) != r.sent[from][n]
		r.received[from] = append(r.received[from], string(message))
		r.mu.Unlock()
		if wrong {
			r.fail("end %d: message %d is %.20q", end, n, message)
		}
	}
}

// change has the client's identity change.
func (r *judgedRun) change() {
	for _, pause := range r.planned.renewals {
		time.Sleep(pause)
		if err := r.carol.Renew(); err != nil {
			r.fail("%v", err)
		}
		go r.ends[0].Renew(context.Background())
	}
}

// finish closes as planned.
func (r *judgedRun) finish() {
	time.Sleep(r.planned.goodbye.after)
	for end, s := range r.ends {
		select {
		case <-s.Done():
			if !r.judge.hasRefused() {
				_, err := s.Receive(context.Background())
				r.fail("end %d has ended by itself: %v", end, err)
			}
		default:
		}
	}
	switch r.planned.goodbye.how {
	case "client":
		r.close(0)
	case "server":
		r.close(1)
	case "returns":
		r.leave <- nil
	case "fails":
		r.leave <- errors.New("failed")
	case "shuts down":
		r.shutDown()
	}
}

// close remembers that Close has returned nil.
func (r *judgedRun) close(end int) {
	if r.ends[end].Close() == nil {
		r.success[end] = true
	}
}

// check holds what the ends were told against what has arrived.
func (r *judgedRun) check() {
	for end, err := range r.ended {
		from := 1 - end
		got, accepted := len(r.received[from]), r.accepted[from]
		var how *e2e.CloseError
		switch {
		case !errors.As(err, &how):
			r.fail("end %d ends with %v", end, err)
		case errors.Is(err, io.EOF) && how.Remote && got < accepted:
			r.fail("end %d has io.EOF behind %d of %d messages", end, got, accepted)
		case how.Remote && how.Err == nil && (got+int(how.Missing) < accepted || got+int(how.Missing) > len(r.sent[from])):
			r.fail("end %d is told with %v that %d messages are missing; it has %d of %d", end, how.Code, how.Missing, got, accepted)
		case errors.Is(err, e2e.ErrMisbehaved):
			r.fail("end %d takes the other for one that breaks the rules: %v", end, err)
		}
	}
	for end := range r.ends {
		var how *e2e.CloseError // an end that closes reads no more
		errors.As(r.ended[1-end], &how)
		if got := len(r.received[end]); r.success[end] && got < r.accepted[end] && how.Remote && !r.judge.hasRefused() {
			r.fail("Close of end %d says that all has arrived; %d of %d messages have: %v", end, got, r.accepted[end], r.ended[1-end])
		}
	}
}

// carryOut runs a plan and returns what was wrong.
func (p judgedPlan) carryOut(t *testing.T) error {
	r := &judgedRun{run: run{plan: p.plan}, planned: p}
	bubble(t, func(t *testing.T) {
		r.carol, r.leave = newIdentity("carol"), make(chan error, 1)
		r.judge = judge{answers: slices.Clone(p.answers), accepted: make(map[uint64]bool)}
		r.begin(t)
		var all sync.WaitGroup
		for end := range r.ends {
			all.Go(func() { r.speak(end) })
			all.Go(func() { r.listen(end) })
		}
		all.Go(func() { r.disturb(r.road) })
		all.Go(r.change)
		r.finish()
		all.Wait()
		time.Sleep(time.Minute) // for whoever holds something back
		r.close(0)
		r.close(1)
		r.check()
	})
	return r.failed
}

// A52 to A54: complete means complete, attempts that do not count change nothing, and the
// peer is one that was accepted, whatever two ends, a Verifier and a hop do.
func TestA52ModelOfSessionsThatClose(t *testing.T) {
	explore.Check(t, func(rt *explore.T) {
		if err := drawJudgedPlan(rt).carryOut(t); err != nil {
			rt.Fatal(err)
		}
	})
}
