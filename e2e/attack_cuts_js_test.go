package e2e_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// The client of TestA15NothingIsLostInWasm.
func TestCutsUnderNode(t *testing.T) {
	url := os.Getenv("HOPSEAL_CUTS_URL")
	if url == "" {
		t.Skip("TestA15NothingIsLostInWasm runs this beside a server")
	}
	server, err := keys.ParseFingerprint(os.Getenv("HOPSEAL_CUTS_SERVER"))
	if err != nil {
		t.Fatal(err)
	}
	messages, err := strconv.ParseUint(os.Getenv("HOPSEAL_CUTS_MESSAGES"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	cfg := withQuickCuts(trusting(alice))
	cfg.Verifier = trust.Pinned(server)
	c, err := e2e.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var y tally
	y.both(t, c, 1, y.asLongAs(messages))
	c.Close()
	// A connection that the hop holds up is given some seconds to close.
	for range 3 {
		if len(leak.Find(nil)) == 0 {
			break
		}
	}
	t.Logf("%d messages sent, %d received", y.sent.Load(), y.received.Load())
}
