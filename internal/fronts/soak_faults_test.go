//go:build unix

package fronts

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// disturb lets something befall everything that sessions go through, one thing at a
// time of each kind, until ctx ends. Then everything runs.
func (s *soak) disturb(ctx context.Context, running *sync.WaitGroup) {
	for _, f := range s.fronts {
		running.Go(func() { s.often(ctx, 20*time.Second, func() { s.front(ctx, f) }) })
	}
	for i, n := range s.nodes {
		running.Go(func() { s.often(ctx, time.Duration(30+7*i)*time.Second, func() { s.node(n) }) })
	}
	running.Go(func() { s.often(ctx, 45*time.Second, func() { s.client(s.clients[0]) }) })
	for _, h := range s.hops {
		running.Go(func() { s.often(ctx, time.Minute, func() { s.count("cut"); h.CutAll() }) })
	}
}

// often calls do at random times, on average once in pace.
func (s *soak) often(ctx context.Context, pace time.Duration, do func()) {
	if s.short {
		pace /= 30
	}
	for pause(ctx, pace/2+rand.N(pace)) {
		do()
	}
}

// pause waits, and reports false where ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// front does something to a front.
func (s *soak) front(ctx context.Context, f *Front) {
	var err error
	switch what := rand.IntN(10); {
	case what < 3:
		s.count("kill")
		f.Kill()
		err = f.Start()
	case what < 4:
		s.count("kill, away")
		f.Kill()
		pause(ctx, s.while())
		err = f.Start()
	case what < 6:
		s.count("reload")
		err = f.Reload()
	case what < 7:
		s.count("stop")
		f.Pause()
		pause(ctx, s.while())
		f.Resume()
	default:
		s.count("answers of others")
		all := f.Misanswers()
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		_, err = f.Instead(all[:1+rand.IntN(3)], s.while())
	}
	if err != nil {
		s.violation("%s: %v", f.Kind.Name, err)
	}
}

// while is how long something is away: seconds as a rule, sometimes more than a minute.
func (s *soak) while() time.Duration {
	switch {
	case s.short:
		return rand.N(300 * time.Millisecond)
	case rand.IntN(8) == 0:
		return 60*time.Second + rand.N(30*time.Second)
	}
	return rand.N(10 * time.Second)
}

// node restarts one: it is killed, or lets go of its sessions.
func (s *soak) node(p *process) {
	by, name := syscall.SIGKILL, "kill a node"
	if rand.IntN(2) == 0 {
		by, name = syscall.SIGTERM, "restart a node"
	}
	s.count(name)
	p.end(by)
	if err := p.start(); err != nil {
		s.violation("a node: %v", err)
	}
}

func (s *soak) client(p *process) {
	s.count("kill the clients")
	p.kill()
	if err := p.start(); err != nil {
		s.violation("clients: %v", err)
	}
}
