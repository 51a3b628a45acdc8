package prom_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/prom"
	"github.com/hopseal/hopseal/transport/servertls"
)

func TestMain(m *testing.M) { leak.Main(m) }

// scrape reads the metrics of a registry as Prometheus does.
func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, text)
	}
	return string(text)
}

func TestAScrapeTellsWhatTheGateSaw(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{MaxConnsPerAddress: 1})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Policy: transport.Development})
		if err != nil {
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		msg, err := conn.Read(context.Background(), nil)
		for err == nil {
			if err = conn.Write(context.Background(), msg); err == nil {
				msg, err = conn.Read(context.Background(), nil)
			}
		}
	}))
	defer server.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(prom.NewCollector(gate))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v: %v", problems, err)
	}

	opts := &transport.DialOptions{Policy: transport.Development}
	conn, err := transport.Dial(t.Context(), server.URL+"/?token=s3cr3t", opts)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	if _, err := transport.Dial(t.Context(), server.URL, opts); err == nil {
		t.Fatal("a second connection from one address")
	}
	for range 3 {
		if err := conn.Write(t.Context(), []byte("four")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	text := scrape(t, registry)
	for _, want := range []string{
		"# TYPE hopseal_connections gauge",
		"# TYPE hopseal_connections_accepted_total counter",
		"hopseal_connections 1",
		"hopseal_connections_limit 10000",
		"hopseal_ready 1",
		"hopseal_connections_accepted_total 1",
		`hopseal_connections_refused_total{reason="address"} 1`,
		`hopseal_connections_refused_total{reason="rate"} 0`,
		`hopseal_connections_ended_total{outcome="lost"} 0`,
		"hopseal_received_messages_total 3",
		"hopseal_sent_messages_total 3",
		"hopseal_received_bytes_total 30", // 2 + 4 bytes of framing, 4 of the message
		"hopseal_sent_bytes_total 18",     // without the mask
		"hopseal_pauses_total 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	if t.Failed() || strings.Contains(text, "s3cr3t") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("the scrape is\n%s", text)
	}
}

// goDoc returns the documentation of Gate.Metrics.
func goDoc(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "doc", "github.com/hopseal/hopseal/transport.Gate.Metrics").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Metrics documents exactly the names that a scrape returns.
func TestEveryNameIsDocumented(t *testing.T) {
	all := regexp.MustCompile(`hopseal_\w+`)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(prom.NewCollector(transport.NewGate(nil)))
	scraped := map[string]bool{}
	for _, name := range all.FindAllString(scrape(t, registry), -1) {
		scraped[name] = true
	}
	documented := map[string]bool{}
	for _, name := range all.FindAllString(goDoc(t), -1) {
		documented[name] = true
		if !scraped[name] {
			t.Errorf("%s is documented and not there", name)
		}
	}
	for name := range scraped {
		if !documented[name] {
			t.Errorf("%s is there and not documented", name)
		}
	}
	if len(scraped) < 10 {
		t.Errorf("%d names only", len(scraped))
	}
}

func TestCertificatesTellWhenTheyExpire(t *testing.T) {
	at := time.Unix(1_900_000_000, 0)
	registry := prometheus.NewPedanticRegistry()
	expiries := []servertls.Expiry{
		{Name: "example.com", KeyType: "ECDSA", File: "a.pem", NotAfter: at.Add(time.Hour)},
		{Name: "example.com", KeyType: "ECDSA", File: "a.pem", NotAfter: at}, // the one that counts
		{Name: "example.org", KeyType: "ECDSA", NotAfter: at},
		{Name: "example.org", KeyType: "RSA", NotAfter: at.Add(1e8 * time.Second)},
	}
	registry.MustRegister(prom.NewCertificateCollector(func() []servertls.Expiry { return expiries }))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v: %v", problems, err)
	}
	text := scrape(t, registry)
	for _, want := range []string{
		`hopseal_certificate_expiry_timestamp_seconds{file="a.pem",key_type="ECDSA",name="example.com"} 1.9e+09`,
		`hopseal_certificate_expiry_timestamp_seconds{file="",key_type="ECDSA",name="example.org"} 1.9e+09`,
		`hopseal_certificate_expiry_timestamp_seconds{file="",key_type="RSA",name="example.org"} 2e+09`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the scrape lacks %s:\n%s", want, text)
		}
	}
	expiries = nil
	if text := scrape(t, registry); strings.Contains(text, "expiry") {
		t.Errorf("no certificate, and still\n%s", text)
	}
}
