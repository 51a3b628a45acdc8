//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A link keeps the user in the room: it connects, joins, hands events on, and
// starts again when the relay is gone.
type link struct {
	url     string
	room    string
	account *account
	wait    func(attempt int) time.Duration
}

const joinTimeout = 20 * time.Second

// A stay in the room lasts as long as its connection.
type stay struct {
	client *relay.Client
	joined *relay.Joined
}

// lost reports the end of a stay, or an attempt that failed.
type lost struct {
	err  error
	wait time.Duration // until the next attempt
}

// connect dials and joins. Its errors say what to do.
func (l *link) connect(ctx context.Context) (*stay, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	client, err := relay.Dial(ctx, l.url, &transport.DialOptions{Sealed: true})
	if err != nil {
		return nil, err
	}
	public := l.account.identity.Public()
	joined, err := client.Join(ctx, l.room, public.Name(), public.Bytes())
	if err != nil {
		client.Close()
		return nil, explainJoin(public.Name(), l.room, err)
	}
	return &stay{client, joined}, nil
}

func explainJoin(name, room string, err error) error {
	refused, ok := errors.AsType[*relay.RefusedError](err)
	if !ok {
		return err
	}
	if refused.Code == relay.NameTaken {
		return fmt.Errorf("somebody in room %s is called %s already: choose another -name, or close your other client",
			shownName(room), shownName(name))
	}
	return err
}

// run sends to events: first, what happens in it, that it is lost, the next stay
// and so on, until ctx is done.
func (l *link) run(ctx context.Context, first *stay, events chan<- any) {
	for s, attempt := first, 0; ctx.Err() == nil; {
		var err error
		if s == nil {
			s, err = l.connect(ctx)
		}
		if s != nil {
			attempt = 0
			err = s.relay(ctx, events)
			s = nil
		}
		wait := l.wait(attempt)
		attempt++
		if !send(ctx, events, lost{err, wait}) || !pause(ctx, wait) {
			return
		}
	}
}

// relay hands on the events of one stay, until it ends.
func (s *stay) relay(ctx context.Context, events chan<- any) error {
	defer s.client.Close()
	if !send(ctx, events, s) {
		return ctx.Err()
	}
	for {
		event, err := s.client.Next(ctx)
		if err != nil {
			return err
		}
		if !send(ctx, events, event) {
			return ctx.Err()
		}
	}
}

func send(ctx context.Context, events chan<- any, event any) bool {
	select {
	case events <- event:
		return true
	case <-ctx.Done():
		return false
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
