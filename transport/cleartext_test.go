package transport_test

import (
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

func TestA48CleartextIsForWhatIsSealedOrStaysHere(t *testing.T) {
	refusal := func(url string, opts *transport.DialOptions) string {
		_, err := transport.Dial(cancelled(), url, opts)
		return err.Error()
	}
	for name, c := range map[string]struct {
		url     string
		opts    *transport.DialOptions
		refused string // nothing for a dial that the context ends, or a Node without WebSockets
	}{
		"production":                    {"ws://192.0.2.1", nil, "use wss://, or set Sealed"},
		"production, this machine":      {"ws://127.0.0.1", nil, "use wss://, or set Sealed"},
		"sealed":                        {"ws://192.0.2.1", &transport.DialOptions{Sealed: true}, ""},
		"sealed, TLS wanted":            {"ws://127.0.0.1", &transport.DialOptions{Sealed: true, RequireTLS: true}, "RequireTLS is set"},
		"development":                   {"ws://127.0.0.1", &transport.DialOptions{Policy: transport.Development}, ""},
		"development, name":             {"http://localhost:1", &transport.DialOptions{Policy: transport.Development}, ""},
		"development, IPv6":             {"ws://[::1]", &transport.DialOptions{Policy: transport.Development}, ""},
		"development, elsewhere":        {"ws://192.0.2.1", &transport.DialOptions{Policy: transport.Development}, "use wss://, or set Sealed"},
		"development, a name like ours": {"ws://localhost.example.com", &transport.DialOptions{Policy: transport.Development}, "use wss://, or set Sealed"},
		"development, TLS wanted":       {"ws://127.0.0.1", &transport.DialOptions{Policy: transport.Development, RequireTLS: true}, "RequireTLS is set"},
		"no policy":                     {"wss://192.0.2.1", &transport.DialOptions{Policy: 7}, "no such value"},
		"TLS":                           {"wss://192.0.2.1", &transport.DialOptions{RequireTLS: true}, ""},
	} {
		got := refusal(c.url, c.opts)
		allowed := strings.Contains(got, "cancelled") || strings.Contains(got, "no WebSocket")
		if allowed != (c.refused == "") || !strings.Contains(got, c.refused) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
