package peer_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall/js"
	"testing"

	"github.com/hopseal/hopseal/keys/trust"
)

// TestInAPage is one end of a conversation between two pages, which TestInChromium
// opens.
func TestInAPage(t *testing.T) {
	me, other := os.Getenv("PEER_ME"), os.Getenv("PEER_OTHER")
	if me == "" {
		t.Skip("it needs the relay of TestInChromium")
	}
	origin := js.Global().Get("location").Get("origin").String()
	cut := func() {
		if me != "page one" {
			return
		}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, origin+"/test/restart", nil)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		answer.Body.Close()
	}
	// Who the other page is nobody can know beforehand; that only it and the relay could
	// be is enough here.
	converse(t, strings.Replace(origin, "http", "ws", 1)+"/test/relay", newIdentity(me), other, trust.InsecureAnyone(), cut)
}
