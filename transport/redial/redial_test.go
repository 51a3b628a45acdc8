package redial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/transport"
)

var errDown = errors.New("the server is down")

// down is a dial that fails at once.
func down(context.Context) (transport.Conn, error) { return nil, errDown }

// up is a dial that succeeds at once.
func up(context.Context) (transport.Conn, error) { conn, _ := transport.Pipe(); return conn, nil }

// wantGaveUp checks the error of Next.
func wantGaveUp(t *testing.T, err error, reason GaveUpReason, tries int) *GaveUpError {
	t.Helper()
	var gaveUp *GaveUpError
	if !errors.As(err, &gaveUp) || gaveUp.Reason != reason || gaveUp.Tries != tries {
		t.Fatalf("got %#v, want reason %d after %d tries", err, reason, tries)
	}
	return gaveUp
}

func mustNext(t *testing.T, d *Redialer, why error) transport.Conn {
	t.Helper()
	conn, err := d.Next(t.Context(), why)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// waits returns the times between the tries of a Policy whose dials all fail.
func waits(t *testing.T, r Policy, cause error) (all []time.Duration) {
	t.Helper()
	var last time.Time
	_, err := r.Dial(t.Context(), func(context.Context) (transport.Conn, error) {
		if !last.IsZero() {
			all = append(all, time.Since(last))
		}
		last = time.Now()
		return nil, cause
	})
	wantGaveUp(t, err, GaveUpTries, r.MaxTries)
	return all
}

func TestBackOffHasFullJitter(t *testing.T) {
	const runs = 400
	windows := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} // seconds
	var low, high [8]int
	for range runs {
		fakeTime(t, func(t *testing.T) {
			for n, wait := range waits(t, Policy{MaxTries: len(windows) + 1}, errDown) {
				window := windows[n] * time.Second
				if wait < 0 || wait >= window {
					t.Errorf("wait %d is %v, above %v", n, wait, window)
				}
				if wait < window/4 {
					low[n]++
				} else if wait >= window*3/4 {
					high[n]++
				}
			}
		})
	}
	for n := range windows { // 100 expected of each, with a deviation of 9
		if min(low[n], high[n]) < 45 || max(low[n], high[n]) > 155 {
			t.Errorf("wait %d: %d in the first quarter and %d in the last, of %d", n, low[n], high[n], runs)
		}
	}
}

func TestBackOffIsCappedWithoutOverflow(t *testing.T) {
	const most = time.Duration(1<<63 - 1)
	for _, test := range []struct {
		base, cap time.Duration
		waits     int
		want      time.Duration
	}{
		{0, 0, 0, DefaultBase},
		{-1, -1, 0, DefaultBase},
		{0, 0, 1 << 30, DefaultCap},
		{3, 10, 0, 3}, {3, 10, 1, 6}, {3, 10, 2, 10}, {3, 10, 3, 10},
		{4, 16, 2, 16},
		{time.Minute, time.Second, 0, time.Minute}, // Cap is at least Base
		{time.Minute, time.Second, 9, time.Minute},
		{1, most, 62, 1 << 62}, {1, most, 63, most}, {1, most, 70, most},
		{most, most, 5, most},
	} {
		d := New(Policy{Base: test.base, Cap: test.cap}, down)
		d.waits = test.waits
		if got := d.window(); got != test.want {
			t.Errorf("%v: got %v", test, got)
		}
	}
}

// TestAThousandClientsSpread: they lose one server at the same moment.
func TestAThousandClientsSpread(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		const clients = 1000
		start := time.Now()
		var mu sync.Mutex
		var first []time.Duration
		var all sync.WaitGroup
		for range clients {
			d := New(Policy{}, func(ctx context.Context) (transport.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				first = append(first, time.Since(start))
				return up(ctx)
			})
			all.Go(func() { d.Next(t.Context(), lost(nil)) })
		}
		all.Wait()
		var tenths [10]int
		for _, after := range first {
			tenths[after/(DefaultBase/10)]++
		}
		if len(first) != clients || slices.Min(tenths[:]) < 50 || slices.Max(tenths[:]) > 150 {
			t.Errorf("tries in each tenth of the first second: %d", tenths)
		}
	})
}

func TestTheFirstDialIsAtOnce(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		start := time.Now()
		conn, err := Policy{}.Dial(t.Context(), up)
		if err != nil || conn == nil || time.Since(start) != 0 {
			t.Errorf("got %v, %v after %v", conn, err, time.Since(start))
		}
	})
}

func TestAStableConnectionMakesTheTriesForgotten(t *testing.T) {
	for held, want := range map[time.Duration]struct{ tries, waits int }{
		DefaultStable - 1: {5, 4}, // three, then one that connects, then the next
		DefaultStable:     {1, 1},
	} {
		fakeTime(t, func(t *testing.T) {
			n := 0
			d := New(Policy{}, func(ctx context.Context) (transport.Conn, error) {
				if n++; n < 4 {
					return down(ctx)
				}
				return up(ctx)
			})
			mustNext(t, d, nil)
			time.Sleep(held)
			mustNext(t, d, lost(nil))
			if d.tries != want.tries || d.waits != want.waits {
				t.Errorf("held for %v: %d tries and %d waits count, want %v", held, d.tries, d.waits, want)
			}
		})
	}
}

// TestFailuresThatLastAreNoStableConnection: the connection before them is counted once.
func TestFailuresThatLastAreNoStableConnection(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		d := New(Policy{MaxTries: 3}, up)
		mustNext(t, d, nil)
		time.Sleep(DefaultStable)
		dials := 0
		d.dial = func(context.Context) (transport.Conn, error) { dials++; return nil, errDown }
		_, err := d.Next(t.Context(), lost(nil))
		wantGaveUp(t, err, GaveUpTries, 3)
		time.Sleep(DefaultStable)
		_, err = d.Next(t.Context(), errDown)
		wantGaveUp(t, err, GaveUpTries, 3)
		if dials != 3 {
			t.Errorf("%d dials", dials)
		}
	})
}

// TestAServerThatDropsConnectionsIsLeftAlone: a dial that succeeds proves nothing.
func TestAServerThatDropsConnectionsIsLeftAlone(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		d := New(Policy{MaxTries: 6}, up)
		_, err := d.Next(t.Context(), nil)
		for err == nil {
			_, err = d.Next(t.Context(), lost(io.ErrUnexpectedEOF))
		}
		gaveUp := wantGaveUp(t, err, GaveUpTries, 6)
		if d.waits != 5 || !errors.Is(gaveUp, net.ErrClosed) || !errors.Is(gaveUp, io.ErrUnexpectedEOF) {
			t.Errorf("%d waits, %v", d.waits, err)
		}
	})
}

func TestTriesAreLimited(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		fakeTime(t, func(t *testing.T) {
			n := 0
			d := New(Policy{MaxTries: limit}, func(context.Context) (transport.Conn, error) { n++; return nil, errDown })
			_, err := d.Next(t.Context(), nil)
			gaveUp := wantGaveUp(t, err, GaveUpTries, limit)
			if n != limit || !errors.Is(err, errDown) || gaveUp.Permanent() {
				t.Errorf("%d dials, %v", n, err)
			}
			_, err = d.Next(t.Context(), err) // nothing has changed
			wantGaveUp(t, err, GaveUpTries, limit)
			d.dial = up
			mustNext(t, d, nil) // the user wants to go on
			if d.tries != 1 {
				t.Errorf("%d tries count", d.tries)
			}
		})
	}
}

func TestTimeIsLimited(t *testing.T) {
	for range 50 {
		fakeTime(t, func(t *testing.T) {
			start := time.Now()
			var last time.Time
			_, err := Policy{MaxTime: time.Minute}.Dial(t.Context(), func(context.Context) (transport.Conn, error) {
				last = time.Now()
				return nil, errDown
			})
			var gaveUp *GaveUpError
			if !errors.As(err, &gaveUp) || gaveUp.Reason != GaveUpTime || !errors.Is(err, errDown) {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(start); took > time.Minute || took != last.Sub(start) || took != gaveUp.Time {
				t.Errorf("gave up after %v, %v after the last try: %v", took, time.Since(last), err)
			}
		})
	}
}

func TestADialIsCancelledWhenTheTimeIsOver(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		start := time.Now()
		_, err := Policy{MaxTime: time.Minute}.Dial(t.Context(), func(ctx context.Context) (transport.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		wantGaveUp(t, err, GaveUpTime, 1)
		if time.Since(start) != time.Minute {
			t.Errorf("after %v", time.Since(start))
		}
	})
}

func TestTheTimeBeginsWhenAStableConnectionEnds(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		d := New(Policy{MaxTime: time.Minute}, up)
		mustNext(t, d, nil)
		time.Sleep(time.Hour)
		mustNext(t, d, lost(nil))
		time.Sleep(time.Minute - 1) // not stable, so the time goes on
		_, err := d.Next(t.Context(), lost(nil))
		wantGaveUp(t, err, GaveUpTime, 1)
	})
}

func TestTheContextEndsNextAtEveryMoment(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	expired := &transport.DialError{Status: 401}
	for name, test := range map[string]struct {
		retry Policy
		dial  func(context.Context) (transport.Conn, error)
		why   error
		link  *fakeNetwork
		cause error // what is told beside the context's end
	}{
		"in the first dial": {dial: func(ctx context.Context) (transport.Conn, error) { return nil, hang(ctx) }, cause: context.Canceled},
		"in a later dial":   {dial: func(ctx context.Context) (transport.Conn, error) { return nil, hang(ctx) }, why: errDown, cause: errDown},
		"while waiting":     {dial: down, retry: Policy{Base: time.Hour, Cap: time.Hour}, cause: errDown},
		"while the server wants a wait": {dial: func(context.Context) (transport.Conn, error) {
			return nil, &transport.DialError{Status: 503, RetryAfter: time.Hour}
		}, retry: Policy{MaxRetryAfter: time.Hour}},
		"while offline": {dial: down, link: &fakeNetwork{off: true}},
		"in a refresh":  {dial: up, why: expired, retry: Policy{Refresh: hang}, cause: expired},
	} {
		t.Run(name, func(t *testing.T) {
			fakeTime(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				d := New(test.retry, test.dial)
				if test.link != nil {
					d.watch = test.link.watch
				}
				time.AfterFunc(2*time.Second, cancel)
				start := time.Now()
				_, err := d.Next(ctx, test.why)
				wantGaveUp(t, err, GaveUpContext, d.tries)
				if time.Since(start) != 2*time.Second || !errors.Is(err, context.Canceled) {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if test.cause != nil && !errors.Is(err, test.cause) {
					t.Errorf("%v does not tell of %v", err, test.cause)
				}
			})
		})
	}
}

func TestAnEndedContextDialsNothing(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, why := range []error{nil, errDown, context.Canceled} {
		d := New(Policy{}, func(context.Context) (transport.Conn, error) { t.Error("dialled"); return nil, errDown })
		_, err := d.Next(ctx, why)
		wantGaveUp(t, err, GaveUpContext, 0)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
}

func TestRetryAfterIsObeyedAndCapped(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 4 * time.Minute: 4 * time.Minute, 24 * time.Hour: DefaultMaxRetryAfter,
	} {
		fakeTime(t, func(t *testing.T) {
			all := waits(t, Policy{MaxTries: 8}, &transport.DialError{Status: 503, RetryAfter: asked})
			if slices.Max(all) == want {
				t.Errorf("asked for %v: nothing random in %v", asked, all)
			}
			for n, wait := range all {
				if extra := wait - want; extra < 0 || extra >= DefaultCap || n == 0 && extra >= DefaultBase {
					t.Errorf("asked for %v: wait %d is %v", asked, n, wait)
				}
			}
		})
	}
}

func TestAWaitOfUnknownLength(t *testing.T) {
	for _, cause := range []error{&transport.DialError{Status: 429}, &transport.CloseError{Code: transport.CodeRestart, Remote: true}} {
		fakeTime(t, func(t *testing.T) {
			for n, wait := range waits(t, Policy{MaxTries: 50}, cause) {
				if wait < 5*time.Second || wait >= 30*time.Second {
					t.Errorf("%v: wait %d is %v", cause, n, wait)
				}
			}
		})
	}
}

// credentials stands for a token that expires, and the server that looks at it.
type credentials struct {
	valid   bool // what the server says about the token in use
	refresh []error
	log     []string
}

func (c *credentials) Refresh(context.Context) error {
	c.log = append(c.log, "refresh")
	err := c.refresh[0]
	c.refresh = c.refresh[1:]
	c.valid = err == nil
	return err
}

func (c *credentials) dial(ctx context.Context) (transport.Conn, error) {
	c.log = append(c.log, "dial")
	if !c.valid {
		return nil, &transport.DialError{Status: 401}
	}
	return up(ctx)
}

// A lockedOut is an error of a Refresh that no time cures.
type lockedOut struct{}

func (lockedOut) Error() string   { return "POST https://auth.example/?refresh_token=s3cr3t: locked out" }
func (lockedOut) Permanent() bool { return true }

func TestARefusedCredentialIsRefreshed(t *testing.T) {
	temporary := errors.New("the login server is down, s3cr3t")
	for name, test := range map[string]struct {
		refresh []error // one result for each
		want    string
		reason  GaveUpReason // 0 if a connection comes about
	}{
		"at once":        {[]error{nil}, "dial refresh dial", 0},
		"later":          {[]error{temporary, temporary, nil}, "dial refresh refresh refresh dial", 0},
		"never":          {[]error{lockedOut{}}, "dial refresh", GaveUpCredential},
		"never, in time": {[]error{temporary, fmt.Errorf("wrapped: %w", lockedOut{})}, "dial refresh refresh", GaveUpCredential},
		"too late":       {[]error{temporary, temporary, temporary, temporary}, "dial refresh refresh refresh refresh", GaveUpTries},
	} {
		t.Run(name, func(t *testing.T) {
			fakeTime(t, func(t *testing.T) {
				c := &credentials{refresh: test.refresh}
				d := New(Policy{Refresh: c.Refresh, MaxTries: 5}, c.dial)
				_, err := d.Next(t.Context(), nil)
				if got := strings.Join(c.log, " "); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if test.reason == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantGaveUp(t, err, test.reason, d.tries)
				if !errors.Is(err, ErrRefresh) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("A48: %v", err)
				}
			})
		})
	}
}

func TestAFreshCredentialThatIsRefusedEndsIt(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		refused := &transport.DialError{Status: 401}
		results := []error{refused, errDown, refused, refused} // after errDown it may have expired again
		refreshed := 0
		d := New(Policy{Refresh: func(context.Context) error { refreshed++; return nil }},
			func(context.Context) (transport.Conn, error) {
				err := results[0]
				results = results[1:]
				return nil, err
			})
		_, err := d.Next(t.Context(), nil)
		gaveUp := wantGaveUp(t, err, GaveUpCredential, 4)
		if refreshed != 2 || !gaveUp.Permanent() || !errors.Is(err, refused) {
			t.Errorf("%d refreshes, %v", refreshed, err)
		}
	})
}

func TestACredentialThatExpiresOnALinkIsRefreshed(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		c := &credentials{valid: true, refresh: []error{nil, nil}}
		d := New(Policy{Refresh: c.Refresh}, c.dial)
		mustNext(t, d, nil)
		for range 2 { // the second time it has not held for long
			c.valid = false
			mustNext(t, d, &transport.CloseError{Code: transport.CodeUnauthorized, Remote: true})
		}
		if got := strings.Join(c.log, " "); got != "dial refresh dial refresh dial" {
			t.Errorf("got %q", got)
		}
		d = New(Policy{}, c.dial)
		_, err := d.Next(t.Context(), &transport.CloseError{Code: transport.CodeUnauthorized, Remote: true})
		wantGaveUp(t, err, GaveUpCredential, 0)
	})
}

func TestDecideIsAsked(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		mine := &transport.CloseError{Code: 4321, Remote: true}
		d := New(Policy{Decide: func(err error) Action {
			if err == mine {
				return Stop
			}
			return ActionFor(err)
		}}, up)
		mustNext(t, d, &transport.CloseError{Code: 4320, Remote: true})
		_, err := d.Next(t.Context(), mine)
		wantGaveUp(t, err, GaveUpStopped, 1)
	})
}

// A fakeNetwork is a browser's view of its network.
type fakeNetwork struct {
	mu      sync.Mutex
	off     bool
	back    chan struct{}
	watched atomic.Int32
}

func (f *fakeNetwork) watch() network {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.back = make(chan struct{}, 1)
	f.watched.Add(1)
	return f
}
func (f *fakeNetwork) stop()                    { f.watched.Add(-1) }
func (f *fakeNetwork) changed() <-chan struct{} { return f.back }
func (f *fakeNetwork) online() bool             { f.mu.Lock(); defer f.mu.Unlock(); return !f.off }
func (f *fakeNetwork) set(off bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off && !off {
		f.back <- struct{}{}
	}
	f.off = off
}

func TestNothingIsTriedWhileOffline(t *testing.T) {
	for _, why := range []error{nil, errDown} {
		fakeTime(t, func(t *testing.T) {
			link := &fakeNetwork{off: true}
			var told events
			d := New(Policy{Notify: told.add}, func(ctx context.Context) (transport.Conn, error) {
				if !link.online() {
					t.Error("dialled")
				}
				return up(ctx)
			})
			d.watch = link.watch
			start := time.Now()
			time.AfterFunc(time.Hour, func() { link.set(false) })
			mustNext(t, d, why)
			if time.Since(start) != time.Hour || link.watched.Load() != 0 {
				t.Errorf("after %v, %d still watching", time.Since(start), link.watched.Load())
			}
			synctest.Wait()
			if first := told.all[0]; first.State != Waiting || !first.Offline || first.Why != why || len(told.all) != 3 {
				t.Errorf("told %+v", told.all)
			}
		})
	}
}

func TestTheNetworksReturnEndsAWait(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		link := &fakeNetwork{}
		d := New(Policy{Base: time.Hour, Cap: 100 * time.Hour}, up)
		d.watch = link.watch
		d.waits = 5
		start := time.Now()
		time.AfterFunc(time.Second, func() { link.set(true); link.set(false) })
		d.trouble = start
		mustNext(t, d, errDown)
		if time.Since(start) != time.Second || d.waits != 0 {
			t.Errorf("after %v, %d waits count", time.Since(start), d.waits)
		}
	})
}

func TestTheNetworkIsAwaitedAfterAWait(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		link := &fakeNetwork{}
		var told events
		d := New(Policy{Notify: told.add}, up)
		d.watch = link.watch
		start := time.Now()
		time.AfterFunc(1, func() { link.set(true) })
		time.AfterFunc(time.Minute, func() { link.set(false) })
		mustNext(t, d, &transport.CloseError{Code: transport.CodeTryLater, Remote: true})
		synctest.Wait()
		if time.Since(start) != time.Minute || told.states() != "waiting, waiting, connecting, connected" || !told.all[1].Offline {
			t.Errorf("after %v: %+v", time.Since(start), told.all)
		}
	})
}

func TestAWaitThatTheServerWantsIsNotCutShort(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		link := &fakeNetwork{}
		var told events
		d := New(Policy{Notify: told.add}, up)
		d.watch = link.watch
		start := time.Now()
		time.AfterFunc(time.Second, d.Wake)
		time.AfterFunc(2*time.Second, func() { link.set(true); link.set(false) })
		time.AfterFunc(3*time.Second, func() { link.set(true) })
		time.AfterFunc(4*time.Second, d.Wake) // offline, and not yet time
		time.AfterFunc(5*time.Second, func() { link.set(false) })
		mustNext(t, d, &transport.DialError{Status: 503, RetryAfter: time.Minute})
		if took := time.Since(start); took < time.Minute || took > time.Minute+DefaultBase {
			t.Errorf("after %v", took)
		}
		synctest.Wait() // the network went at 3 s, which is seen when something wakes the wait
		if got := told.states(); got != "waiting, waiting, waiting, connecting, connected" {
			t.Errorf("told %s", got)
		}
	})
}

func TestTheTimeIsLimitedOfflineToo(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		link := &fakeNetwork{off: true}
		d := New(Policy{MaxTime: time.Minute}, up)
		d.watch = link.watch
		start := time.Now()
		_, err := d.Next(t.Context(), nil)
		gaveUp := wantGaveUp(t, err, GaveUpTime, 0)
		if time.Since(start) != time.Minute || gaveUp.Err != nil {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestWake(t *testing.T) {
	for _, off := range []bool{false, true} { // a browser may be wrong about its network
		fakeTime(t, func(t *testing.T) {
			link := &fakeNetwork{off: off}
			d := New(Policy{Base: 1000 * time.Hour, Cap: 1000 * time.Hour}, up)
			d.watch = link.watch
			d.Wake() // nobody waits: forgotten
			d.Wake()
			start := time.Now()
			time.AfterFunc(1, d.Wake)
			mustNext(t, d, errDown)
			if time.Since(start) != 1 {
				t.Errorf("after %v", time.Since(start))
			}
		})
	}
}

// events collects what Notify is told.
type events struct{ all []Event }

func (e *events) add(event Event) { e.all = append(e.all, event) }

func (e *events) states() string {
	var all []string
	for _, event := range e.all {
		all = append(all, event.State.String())
	}
	return strings.Join(all, ", ")
}

func TestStatesAreTold(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		n := 0
		var told events
		d := New(Policy{Notify: told.add}, func(ctx context.Context) (transport.Conn, error) {
			if n++; n == 1 {
				return down(ctx)
			}
			return up(ctx)
		})
		mustNext(t, d, nil)
		_, err := d.Next(t.Context(), &transport.CloseError{Code: transport.CodeNormal, Remote: true})
		wantGaveUp(t, err, GaveUpStopped, 2)
		synctest.Wait()
		if got := told.states(); got != "connecting, waiting, connecting, connected, gave up" {
			t.Fatalf("told %s", got)
		}
		for i, try := range []int{1, 1, 2, 2, 2} {
			if told.all[i].Try != try || told.all[i].Missed != 0 {
				t.Errorf("event %d: %+v", i, told.all[i])
			}
		}
		wait := told.all[1]
		if wait.Why != errDown || wait.Offline || time.Until(wait.Until) > 0 || time.Since(wait.Until) > DefaultBase {
			t.Errorf("while waiting: %+v", wait)
		}
		if told.all[4].Why != err {
			t.Errorf("at the end: %+v", told.all[4])
		}
	})
}

// TestASlowNotifyHoldsNothingUp: what it misses is counted, the newest states
// arrive, and in order.
func TestASlowNotifyHoldsNothingUp(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		const tries = 1000 // connecting and waiting each, the last one gives up
		release := make(chan struct{})
		var told events
		_, err := Policy{MaxTries: tries, Notify: func(e Event) {
			<-release
			told.add(e)
		}}.Dial(t.Context(), down)
		wantGaveUp(t, err, GaveUpTries, tries)
		close(release)
		synctest.Wait()
		missed := 0
		for i, e := range told.all {
			missed += e.Missed
			if i > 0 && e.Try < told.all[i-1].Try {
				t.Errorf("event %d is out of order: %+v", i, e)
			}
		}
		if len(told.all) != notify.MaxEvents+1 || missed+len(told.all) != 2*tries || told.all[notify.MaxEvents].State != GaveUp {
			t.Errorf("%d told, %d missed, the last %v", len(told.all), missed, told.all[notify.MaxEvents])
		}
	})
}

func TestAPanicInNotifyIsSurvived(t *testing.T) {
	out := captureLog(t)
	fakeTime(t, func(t *testing.T) {
		var told events
		conn, err := Policy{Notify: func(e Event) {
			told.add(e)
			panic("oops \x1b[2J")
		}}.Dial(t.Context(), up)
		synctest.Wait()
		if err != nil || conn == nil || told.states() != "connecting, connected" {
			t.Errorf("%v, told %s", err, told.states())
		}
	})
	if n := strings.Count(out.String(), `Policy.Notify panicked: oops \x1b[2J`); n != 2 {
		t.Errorf("A47: logged %d times: %q", n, out.String())
	}
}

func captureLog(t *testing.T) *strings.Builder {
	out := new(strings.Builder)
	before := log.Writer()
	log.SetOutput(out)
	t.Cleanup(func() { log.SetOutput(before) })
	return out
}

func TestGaveUpSaysWhy(t *testing.T) {
	refused := &transport.DialError{Target: "wss://example.com", Problem: "nothing listens there", Status: 0}
	for _, test := range []struct {
		err  GaveUpError
		want string
	}{
		{GaveUpError{Reason: GaveUpStopped, Tries: 1, Err: refused},
			"transport: gave up since trying again would not help: cannot dial wss://example.com: nothing listens there"},
		{GaveUpError{Reason: GaveUpCredential, Err: &refreshError{errors.New("s3cr3t")}},
			"transport: gave up since the credential is refused and there is no other: log in again: the credential could not be refreshed"},
		{GaveUpError{Reason: GaveUpTries, Tries: 1, Err: lost(nil)},
			"transport: gave up after 1 try: the connection broke: connection lost (1006)"},
		{GaveUpError{Reason: GaveUpTime, Tries: 12, Time: 90*time.Second + 1, Err: errors.New("a\nb")},
			`transport: gave up after 12 tries in 1m30s: a\nb`},
		{GaveUpError{Reason: GaveUpContext, Tries: 3, ended: context.Canceled},
			"transport: gave up since the caller did (context canceled) after 3 tries"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
