package prom_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/prom"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

func TestMain(m *testing.M) { leak.Main(m) }

var options = e2e.Options{Logger: slog.New(slog.DiscardHandler)}

func clientConfig(me, other *keys.Identity) e2e.Config {
	return e2e.Config{Identity: me, Verifier: trust.Pinned(other.Fingerprint()), Protocol: "test/1", Options: options}
}

func serverConfig(me, other *keys.Identity) e2e.ServerConfig {
	return e2e.ServerConfig{Identity: me, Verifier: trust.Pinned(other.Fingerprint()), Protocol: "test/1", Options: options}
}

func identity(t *testing.T, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// scrape asks for the metrics of a collector as Prometheus does.
func scrape(t *testing.T, collector prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v: %v", problems, err)
	}
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, text)
	}
	return string(text)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the scrape lacks %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// meet returns a server that echoes, and a session with it.
func meet(t *testing.T) (*e2e.Server, *e2e.Session) {
	t.Helper()
	alice, bob := identity(t, "alice PLANTED"), identity(t, "bob")
	srv, err := e2e.NewServer(serverConfig(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		for {
			message, err := s.Receive(ctx)
			if err != nil {
				return err
			}
			if err := s.Send(ctx, message); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	a, b := transport.Pipe()
	go srv.ServeConn(context.Background(), b)
	c, err := e2e.Connect(t.Context(), a, "pipe", clientConfig(alice, bob))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return srv, c
}

func TestAScrapeTellsWhatTheServerSaw(t *testing.T) {
	srv, c := meet(t)
	for range 3 {
		if err := c.Send(t.Context(), []byte("PLANTED")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := scrape(t, prom.NewCollector(srv))
	wantLines(t, text,
		"# TYPE hopseal_sessions gauge",
		"# TYPE hopseal_session_round_trip_seconds histogram",
		"hopseal_sessions 1",
		"hopseal_sessions_parked 0",
		"hopseal_handshakes 0",
		"hopseal_session_sent_messages_total 3",
		"hopseal_session_received_messages_total 3",
		`hopseal_greeted_connections_total{outcome="established"} 1`,
		`hopseal_greeted_connections_total{outcome="untrusted"} 0`,
		`hopseal_ended_sessions_total{reason="tampered"} 0`,
		`hopseal_session_refused_records_total{reason="authentication"} 0`,
	)
	if expires := float64(srv.Stats().IdentityExpires.Unix()); !strings.Contains(text, fmt.Sprintf("\nhopseal_identity_expiry_timestamp_seconds %v\n", expires)) || expires < float64(time.Now().Unix()) {
		t.Errorf("the identity expires at %v:\n%s", expires, text)
	}
	if strings.Contains(text, "PLANTED") {
		t.Errorf("the scrape holds what a client chose:\n%s", text)
	}

	text = scrape(t, prom.NewSessionCollector(c))
	wantLines(t, text,
		"hopseal_session_sent_messages_total 3",
		"hopseal_session_unacked_messages 0",
		`hopseal_session_round_trip_seconds_bucket{le="+Inf"} 1`,
		"hopseal_session_round_trip_seconds_count 1",
	)
	if strings.Contains(text, "hopseal_sessions ") {
		t.Error("a session has a server's figures")
	}
}

// What the package documents and what is scraped are the same names.
func TestEveryNameIsDocumented(t *testing.T) {
	source, err := os.ReadFile("prom.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(source), "\npackage prom")
	documented := regexp.MustCompile(`(?m)^//\t(hopseal_\w+)`).FindAllStringSubmatch(comment, -1)
	srv, _ := meet(t)
	types := regexp.MustCompile(`(?m)^# TYPE (\w+)`).FindAllStringSubmatch(scrape(t, prom.NewCollector(srv)), -1)
	names := map[string]int{}
	for _, m := range documented {
		names[m[1]]++
	}
	for _, m := range types {
		names[m[1]] += 2
	}
	for name, n := range names {
		if n != 3 {
			t.Errorf("%s is documented %v, scraped %v", name, n&1 > 0, n&2 > 0)
		}
	}
	if len(types) < 10 {
		t.Errorf("%d names only", len(types))
	}
}
