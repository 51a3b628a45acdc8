package peer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport/redial"
)

// converse is one of two members that dial each other at once, and have a conversation
// through the relay at url. In the middle of that it calls cut.
func converse(t testing.TB, url string, me *keys.Identity, other string, verifier trust.Verifier, cut func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	node, err := peer.Join(ctx, url, topic, peer.Config{Session: e2e.Config{
		Identity: me, Verifier: verifier, Protocol: "test/1", Options: e2e.Options{Logger: slog.New(slog.DiscardHandler)},
		Retry: redial.Policy{Base: 10 * time.Millisecond, Cap: 200 * time.Millisecond},
	}})
	if err != nil {
		t.Errorf("Join: %v", err)
		return
	}
	defer node.Close()
	s, err := node.Dial(ctx, other)
	for errors.Is(err, peer.ErrAbsent) {
		time.Sleep(time.Millisecond) // there is no event for it here
		s, err = node.Dial(ctx, other)
	}
	if err != nil {
		t.Errorf("%s: Dial: %v", me.Name(), err)
		return
	}
	const messages = 200
	received := make(chan error, 1)
	go func() {
		for n := range uint64(messages) {
			message, err := s.Receive(ctx)
			if err != nil || len(message) < 8 || binary.BigEndian.Uint64(message) != n {
				t.Errorf("%s: message %d: %x, %v", me.Name(), n, message, err)
				received <- err
				return
			}
		}
		received <- nil
	}()
	for n := range uint64(messages) {
		if n == messages/2 {
			cut()
		}
		if err := s.Send(ctx, append(binary.BigEndian.AppendUint64(nil, n), make([]byte, n*10)...)); err != nil {
			t.Errorf("%s: Send: %v", me.Name(), err)
		}
	}
	if err := <-received; err != nil {
		return
	}
	if err := s.Flush(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // the other one may be done
		t.Errorf("%s: Flush: %v", me.Name(), err)
	}
}
