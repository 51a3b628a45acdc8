package envelope

import (
	"time"

	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/internal/strict"
)

func init() {
	pagestore.Follow = func(g any) *pagestore.Log { return g.(*ReplayGuard).follow() }
	pagestore.Take = func(g any, log *pagestore.Log) ([]byte, bool) { return g.(*ReplayGuard).take(log) }
	pagestore.Apply = func(g any, claims []byte) error { return g.(*ReplayGuard).apply(claims) }
	pagestore.Withdraw = func(g, h any) { g.(*ReplayGuard).withdraw(h.(Header)) }
}

func (g *ReplayGuard) follow() *pagestore.Log {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = new(pagestore.Log)
	return g.log
}

func (g *ReplayGuard) take(log *pagestore.Log) (claims []byte, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if log == nil || g.log != log || log.Lost {
		return nil, false
	}
	claims, log.Claims = log.Claims, nil
	return claims, true
}

// apply adds claims to a guard that was read from what was saved before them. The guard may have
// forgotten more at the time of the claims than it does here: either way each message that was
// opened has its id remembered, or is not later than the floor.
func (g *ReplayGuard) apply(claims []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := strict.NewReader(claims)
	for r.Len() > 0 {
		var from sender
		var id MessageID
		r.Array(5)
		copy(from.root[:], r.Bin(32, 32))
		from.party = r.Str(0, MaxPartySize)
		copy(id[:], r.Bin(len(id), len(id)))
		ms, window := readMilli(&r), readWindow(&r)
		if r.Failed() {
			break
		}
		s := g.of(from, time.Now())
		if len(s.ids) >= replayPerSender {
			s.makeRoom(time.Time{})
		}
		s.ids[id], g.window = int64(ms), max(g.window, window)
	}
	if r.Done() != nil {
		return ErrReplayGuard
	}
	return nil
}

// withdraw takes back the claim of a message that nobody has seen. The floor stays where it is.
func (g *ReplayGuard) withdraw(h Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.senders[senderOf(&h)]; s != nil {
		delete(s.ids, h.ID)
	}
	if g.log != nil {
		g.log.Lost = true // it may have been taken
	}
}
