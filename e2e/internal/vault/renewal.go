package vault

import (
	"sync"
	"time"
)

// lookFirst is how soon after a session has lost its line the server checks whether it goes on
// elsewhere.
const lookFirst = time.Second

// A renewal saves a server's record while nothing else does. So the record does not expire while
// the session lives, and the server finds out if another process has claimed the session. A
// client's record expires with its session, and needs no renewal.
type renewal struct {
	keeper *Keeper
	timer  *time.Timer

	mu   sync.Mutex // guards wait. A server holds its own lock meanwhile, so nobody does anything slow with this one
	wait time.Duration
}

func (r *renewal) init(k *Keeper) {
	r.keeper = k
	r.timer = time.AfterFunc(time.Hour, r.look)
	r.timer.Stop()
}

func (r *renewal) stop() { r.timer.Stop() }

// Watch begins to renew the record.
func (k *Keeper) Watch() { k.renewal.reset(k.session.Park / 2) }

// Parked tells the keeper that the session has lost its line, or has one again. That changes when
// the record expires.
func (k *Keeper) Parked(parked bool) {
	if parked {
		k.renewal.reset(lookFirst)
	} else {
		k.Watch()
	}
}

// Renew saves the record with a new expiry. Otherwise the record of a client that sends nothing
// would expire with its earlier credentials.
func (k *Keeper) Renew() {
	if err := k.Save(k.session.Life); err != nil {
		k.session.Failed(err)
	}
}

func (r *renewal) reset(wait time.Duration) {
	if r.keeper.session.Engine.Client() || r.keeper.over() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = max(wait, time.Millisecond)
	r.timer.Reset(r.wait)
}

func (k *Keeper) over() bool {
	select {
	case <-k.session.Ended:
		return true
	default:
		return false
	}
}

func (r *renewal) look() {
	k := r.keeper
	if k.over() {
		return
	}
	if err := k.Save(k.session.Life); err != nil {
		k.session.Failed(err)
		return
	}
	r.mu.Lock()
	wait := min(2*r.wait, k.session.Park/2)
	r.mu.Unlock()
	r.reset(wait)
}
