//go:build !js

package transport_test

import (
	"bytes"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

func TestA48OneWarningForEachHostWithoutTLS(t *testing.T) {
	var logged bytes.Buffer
	before, flags := slog.Default(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // SetDefault has led package log to the handler
		log.SetFlags(flags)
	}()
	port := rand.IntN(1<<16-1) + 1 // another one each time, since a process warns once
	for range 3 {
		for _, host := range []string{"ws://192.0.2.101:%d/s3cr3t?s3cr3t", "ws://192.0.2.102:%d", "wss://192.0.2.103:%d"} {
			url := fmt.Sprintf(host, port)
			transport.Dial(cancelled(), url, &transport.DialOptions{Sealed: true})
		}
	}
	text := logged.String()
	for host, want := range map[string]int{"192.0.2.101": 1, "192.0.2.102": 1, "192.0.2.103": 0, "s3cr3t": 0} {
		if got := strings.Count(text, host); got != want {
			t.Errorf("%d times %s in the log:\n%s", got, host, text)
		}
	}
}
