//go:build !js

package stepclock_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// stranger has another client come and go.
func (p *pair) stranger() {
	p.t.Helper()
	client := p.client
	client.Identity = identity(p.t)
	s, err := e2e.DialFunc(p.t.Context(), "server", client, func(context.Context) (transport.Conn, error) {
		a, b := transport.Pipe()
		go p.srv.ServeConn(context.Background(), b)
		return a, nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	s.Close()
	<-p.ended
}

// restart puts another server, of the same store, in the place of this one.
func (p *pair) restart() {
	p.mu.Lock()
	p.shut = true
	p.mu.Unlock()
	if err := p.srv.Shutdown(context.Background()); err != nil {
		p.t.Error(err)
	}
	<-p.ended
	p.serve()
	p.mu.Lock()
	p.shut = false
	p.mu.Unlock()
}

// What is stored is a time of the wall clock, as it is when it is stored: a session outlives a
// restart behind a step, and is as old as it is.
func TestStoredSessionIsAsOldAsItIs(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.server.MaxAge, p.server.Store, p.server.StoreKeys = 3*time.Hour, sessionstore.Memory(), sharedKeys(t)
		start := time.Now()
		p.begin()
		time.Sleep(time.Hour)
		set()
		p.talk()
		p.restart()
		p.talk()
		<-p.ended
		return time.Since(start)
	})
}

// A sweep by a clock that has jumped takes nobody's session that is alive, connected or not.
func TestStoredSessionIsNotSwept(t *testing.T) {
	for _, parked := range []bool{false, true} {
		t.Run(fmt.Sprint("parked ", parked), func(t *testing.T) {
			whatever(t, func(t *testing.T, set func()) time.Duration {
				p := newPair(t)
				p.server.MaxAge, p.server.Store, p.server.StoreKeys = 3*time.Hour, sessionstore.Memory(), sharedKeys(t)
				p.server.ParkTimeout = 40 * time.Minute
				start := time.Now()
				p.begin()
				for n := range 20 { // strangers, with whom a server looks whether to sweep
					if parked && n == 14 {
						p.cut(false)
						p.away.Store(true)
					}
					time.Sleep(5 * time.Minute)
					if n == 8 { // when a sweep is due
						set()
					}
					p.stranger()
				}
				p.away.Store(false)
				p.talk()
				p.restart()
				p.talk()
				<-p.ended
				return time.Since(start)
			})
		})
	}
}
