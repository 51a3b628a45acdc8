package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A misanswer is a hop that ends connections, and refuses the next ones, as it likes.
type misanswer struct {
	road
	cause error // of both

	mu   sync.Mutex
	left int // dials to refuse
	last *forged
}

// dial refuses, or connects.
func (m *misanswer) dial(ctx context.Context) (transport.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left > 0 {
		m.left--
		return nil, m.cause
	}
	conn, err := m.road.dial(ctx)
	if err != nil {
		return nil, err
	}
	m.last = &forged{Conn: conn}
	return m.last, nil
}

// strike ends the connection, and has the next dials fail.
func (m *misanswer) strike(refusals int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = refusals
	if m.last != nil {
		m.last.end(m.cause)
	}
}

// forged is a connection that ends for whatever reason a hop has made up.
type forged struct {
	transport.Conn
	mu  sync.Mutex
	why error
}

func (f *forged) end(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why = why
	f.Conn.(*transport.PipeConn).Cut()
}

func (f *forged) Read(ctx context.Context, dst []byte) ([]byte, error) {
	dst, err := f.Conn.Read(ctx, dst)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && f.why != nil {
		err = f.why
	}
	return dst, err
}

// finalWord is an error of somebody who thinks that nothing can be done.
type finalWord struct{ error }

func (finalWord) Permanent() bool { return true }
func (f finalWord) Unwrap() error { return f.error }

// foreignAnswers are errors of dials and of connections, none of which any end of a session
// has made.
func foreignAnswers() map[string]error {
	all := map[string]error{
		"an end of file":         io.EOF,
		"a closed connection":    net.ErrClosed,
		"a final word":           finalWord{errors.New("no")},
		"a cancelled dial":       context.Canceled,
		"another session's no":   &e2e.HandshakeError{Reason: e2e.ReasonRefused},
		"another session's end":  &e2e.HandshakeError{Reason: e2e.ReasonUnknownSession},
		"a panic somewhere else": fmt.Errorf("far away: %w", &e2e.PanicError{Value: "oops"}),
		"a Redialer's end":       &redial.GaveUpError{Reason: redial.GaveUpStopped},
		"a refused refresh":      redial.ErrRefresh,
		"wrong credentials":      transport.ErrUnauthorized,
	}
	for _, status := range []int{101, 200, 302, 400, 401, 403, 404, 405, 407, 410, 421, 426, 429, 500, 502, 503} {
		all[fmt.Sprint("status ", status)] = &transport.DialError{Status: status}
		all[fmt.Sprint("status ", status, " with a time")] = &transport.DialError{Status: status, RetryAfter: time.Hour}
	}
	for _, code := range []transport.Code{0, 1004, 1007, 1010, 1014, 1015, 2999, 3000, 3001, 3003, 3999, 4000, 4321, 4999} {
		all[fmt.Sprint("code ", int(code))] = &transport.CloseError{Code: code, Remote: true}
	}
	for code := range transport.Code(16) {
		all[fmt.Sprint("code ", 1000+int(code))] = &transport.CloseError{Code: 1000 + code, Remote: true}
	}
	return all
}

// refreshes are what becomes of a credential that is refused.
func refreshes() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"":                     nil,
		"refreshed":            func(context.Context) error { return nil },
		"not refreshed now":    func(context.Context) error { return errors.New("no network") },
		"not refreshed at all": func(context.Context) error { return finalWord{errors.New("log in again")} },
	}
}

// A55: whatever a hop answers, for however long, it ends no session: not when it comes back
// for the first time, nor right after that, nor when it was stored and its program has been
// started again. Nothing is lost.
func TestA55NoAnswerEndsASession(t *testing.T) {
	for name, cause := range foreignAnswers() {
		for how, refresh := range refreshes() {
			if status := new(transport.DialError); refresh != nil && !(errors.As(cause, &status) && status.Status == 401) && name != "code 3000" {
				continue
			}
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					patient := hosting(bob, alice)
					patient.ParkTimeout = 23 * time.Hour
					m := &misanswer{cause: cause, road: road{srv: newServer(t, patient, echo)}}
					cfg := stored(trusting(alice, bob), sessionstore.Memory())
					cfg.StoreName, cfg.Retry.Refresh = "client", refresh
					m.outlasts(t, cfg)
				})
			})
		}
	}
}

func (m *misanswer) outlasts(t *testing.T, cfg e2e.Config) {
	t.Helper()
	c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range 3 { // once, and in a row
		m.strike(1 + 2*n)
		mustSend(t, c, fmt.Sprint("meanwhile ", n))
		mustReceive(t, c, fmt.Sprint("meanwhile ", n))
	}
	m.strike(5)
	mustSend(t, c, "before the restart")
	again, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial) // the old process finds out
	if err != nil {
		t.Fatalf("after a restart: %v", err)
	}
	defer again.Close()
	mustReceiveBy(t, again, "before the restart")
	if !again.Restored() {
		t.Error("this is another session")
	}
	synctest.Wait()
}
