package peer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A member does not begin with an identity that all others refuse.
func TestNodeWithAnExpiredIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, err := keys.GenerateIdentity("old")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(keys.MaxLifetime)
		cfg := peer.Config{Session: e2e.Config{Identity: id, Verifier: trust.InsecureAnyone(), Protocol: "test/1"}}
		if _, err := peer.New("topic", cfg); !errors.Is(err, keys.ErrExpired) {
			t.Error(err)
		}
		if err := id.Renew(); err != nil {
			t.Fatal(err)
		}
		n, err := peer.New("topic", cfg)
		if err != nil {
			t.Fatal(err)
		}
		n.Close()
	})
}
