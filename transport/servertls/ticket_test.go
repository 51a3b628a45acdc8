//go:build !js

package servertls

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testSecret(b byte) *TicketSecret {
	return must(NewTicketSecret(bytes.Repeat([]byte{b}, ticketSecretSize)))
}

func line(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, ticketSecretSize)) + "\n"
}

// returning is a client that keeps its tickets.
func returning(ca *authority) *tls.Config {
	return &tls.Config{RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

func resumed(t *testing.T, address string, client *tls.Config) bool {
	t.Helper()
	s, err := visit(address, client)
	if err != nil {
		t.Fatal(err)
	}
	return s.DidResume
}

func TestNodesResumeEachOthersSessions(t *testing.T) {
	ca := newAuthority()
	node := func(opts Options) string {
		opts.Pairs = []Pair{newFolder(t).put(ca.issue(nil))} // of its own
		return serve(t, watch(t, opts).TLSConfig())
	}
	file := newFolder(t).write("tickets", []byte("# of this year\n\n"+line(7)+line(8)))
	a, b := node(Options{TicketSecret: testSecret(7)}), node(Options{TicketFile: file})
	stranger, slower, alone := node(Options{TicketSecret: testSecret(9)}), node(Options{TicketSecret: testSecret(7), TicketPeriod: time.Hour}), node(Options{})
	for name, row := range map[string]struct {
		from, to string
		want     bool
	}{
		"same node":           {a, a, true},
		"from one to another": {a, b, true},
		"and back":            {b, a, true},
		"another secret":      {a, stranger, false},
		"another period":      {a, slower, false},
		"no secret":           {a, alone, false},
		"without any":         {alone, alone, true},
		"from without any":    {alone, a, false},
	} {
		client := returning(ca)
		if resumed(t, row.from, client) {
			t.Errorf("%s: the first visit was resumed", name)
		}
		if got := resumed(t, row.to, client); got != row.want {
			t.Errorf("%s: resumed %v, want %v", name, got, row.want)
		}
	}
}

// Whoever gets the secret later could read a recorded session of TLS 1.2.
func TestNoTicketsForTLS12UnderASharedSecret(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	pairs := []Pair{files.put(ca.issue(nil))}
	for name, opts := range map[string]Options{"shared": {TicketSecret: testSecret(1)}, "own": {}} {
		opts.Pairs = pairs
		address, client := serve(t, watch(t, opts).TLSConfig()), returning(ca)
		client.MaxVersion = tls.VersionTLS12
		resumed(t, address, client)
		if got, want := resumed(t, address, client), name == "own"; got != want {
			t.Errorf("%s keys: resumed %v, want %v", name, got, want)
		}
	}
}

// A client resumes a session after the certificate changes, with the server's own keys too.
func TestSessionsOutliveAReload(t *testing.T) {
	for name, opts := range map[string]Options{"shared": {TicketSecret: testSecret(1)}, "own": {}} {
		ca, files, client := newAuthority(), newFolder(t), returning(newAuthority())
		client.RootCAs = ca.pool()
		opts.Pairs = []Pair{files.put(ca.issue(nil))}
		w := watch(t, opts)
		address := serve(t, w.TLSConfig())
		resumed(t, address, client)
		files.put(ca.issue(nil))
		if err := w.Reload(); err != nil {
			t.Fatal(err)
		}
		if !resumed(t, address, client) {
			t.Errorf("%s keys: not resumed", name)
		}
	}
}

// TestTheSecretIsExchangedNodeByNode follows the package's documentation.
func TestTheSecretIsExchangedNodeByNode(t *testing.T) {
	ca := newAuthority()
	var files [2]folder
	var nodes [2]*Watcher
	var addresses [2]string
	for i := range nodes {
		files[i] = newFolder(t)
		files[i].write("tickets", []byte(line(1)))
		nodes[i] = watch(t, Options{Pairs: []Pair{files[i].put(ca.issue(nil))}, TicketFile: files[i].file("tickets")})
		addresses[i] = serve(t, nodes[i].TLSConfig())
	}
	early := returning(ca)
	resumed(t, addresses[0], early)
	early.ClientSessionCache = keep{early.ClientSessionCache}
	for _, secrets := range []string{line(1) + line(2), line(2) + line(1), line(2)} {
		for i := range nodes {
			files[i].write("tickets", []byte(secrets))
			if err := nodes[i].Reload(); err != nil {
				t.Fatal(err)
			}
			for from := range nodes {
				client := returning(ca)
				resumed(t, addresses[from], client)
				if !resumed(t, addresses[1-from], client) {
					t.Errorf("node %d gets %q: a session of node %d was not resumed", i, secrets, from)
				}
			}
		}
		if got, want := resumed(t, addresses[1], early), strings.Contains(secrets, line(1)); got != want {
			t.Errorf("%q: the first ticket resumes: %v", secrets, got)
		}
	}
}

// keep is a cache that keeps the tickets it has and stores no new ones.
type keep struct{ tls.ClientSessionCache }

func (keep) Put(string, *tls.ClientSessionState) {}

// TestOldTicketsEnd runs a node for days, in memory.
func TestOldTicketsEnd(t *testing.T) {
	files := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, TicketSecret: testSecret(1), Interval: 24 * time.Hour})
		defer w.Close()
		config := w.TLSConfig()
		meet := func(client *tls.Config) bool {
			t.Helper()
			near, far := net.Pipe()
			go answer(tls.Server(far, config))
			s, err := shake(near, client)
			if err != nil {
				t.Fatal(err)
			}
			return s.DidResume
		}
		_, end := periodAt(time.Now(), 12*time.Hour)
		time.Sleep(time.Until(end) + time.Minute)
		client := returning(ca)
		meet(client)
		client.ClientSessionCache = keep{client.ClientSessionCache}
		start := time.Now()
		for _, row := range []struct {
			after time.Duration
			want  bool
		}{{0, true}, {11 * time.Hour, true}, {13 * time.Hour, true}, {23 * time.Hour, true}, {25 * time.Hour, false}, {49 * time.Hour, false}} {
			time.Sleep(time.Until(start.Add(row.after)))
			if got := meet(client); got != row.want {
				t.Errorf("after %v: resumed %v, want %v", row.after, got, row.want)
			}
		}
	})
}

// TestTicketKeys fixes the derivation, which nodes of different releases share. The
// expected key comes from another implementation of HKDF.
func TestTicketKeys(t *testing.T) {
	keys := ticketKeys([]TicketSecret{*testSecret(1), *testSecret(2)}, 12*time.Hour, 40000)
	if len(keys) != 6 {
		t.Fatalf("%d keys", len(keys))
	}
	seen := map[[32]byte]bool{}
	for _, k := range keys {
		seen[k] = true
	}
	if len(seen) != 6 {
		t.Error("two keys are the same")
	}
	if got := fmt.Sprintf("%x", keys[0]); got != "6f425e058c9c795e22d761e45a21f81a0fa68c4831a19e9a197075be2a831075" {
		t.Errorf("the first key is %s", got)
	}
	later := ticketKeys([]TicketSecret{*testSecret(1)}, 12*time.Hour, 40001)
	if later[1] != keys[0] || keys[2] != later[0] {
		t.Error("neighbouring periods do not share their keys")
	}
	number, end := periodAt(time.Unix(40000*43200+43199, 999), 12*time.Hour)
	if number != 40000 || !end.Equal(time.Unix(40001*43200, 0)) {
		t.Errorf("period %d ends at %v", number, end)
	}
}

func TestA42TicketSecretsDoNotPrint(t *testing.T) {
	marker := "planted-marker-of-32-bytes-hello"
	secret := must(NewTicketSecret([]byte(marker)))
	opts := Options{TicketSecret: secret}
	log := new(bytes.Buffer)
	slog.New(slog.NewTextHandler(log, nil)).Info("x", "secret", secret, "value", *secret, "opts", opts.TicketSecret)
	slog.New(slog.NewJSONHandler(log, nil)).Info("x", "secret", secret, "value", *secret)
	fmt.Fprintf(log, "%v %+v %#v %x %s %d %v %+v %#v", secret, secret, secret, secret, secret, secret, *secret, opts, struct{ S TicketSecret }{*secret})
	log.Write(must(json.Marshal(map[string]any{"a": secret, "b": *secret})))
	text := log.String()
	for _, hidden := range []string{marker, fmt.Sprintf("%x", marker), fmt.Sprintf("%d", []byte(marker))[1:20], base64.StdEncoding.EncodeToString([]byte(marker))} {
		if strings.Contains(text, hidden) {
			t.Errorf("%q shows in %s", hidden, text)
		}
	}
	if strings.Count(text, redacted) < 10 {
		t.Errorf("printed as %s", text)
	}
}

func TestTicketFiles(t *testing.T) {
	for text, want := range map[string]int{
		line(1):                           1,
		"#x\n\n \t" + line(1) + line(2):   2,
		strings.TrimSpace(line(1)):        1,
		line(1) + "\r\n":                  1,
		strings.Repeat(line(1), 4):        4,
		strings.Repeat(line(1), 5):        0,
		"":                                0,
		"#" + line(1):                     0,
		line(1)[:43] + "\n":               0,
		line(1)[:40] + "\n":               0,
		line(1)[:42] + "F=\n":             0, // bits that count for nothing
		strings.TrimSpace(line(1)) + "AA": 0,
	} {
		got, err := parseTicketSecrets([]byte(text))
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d secrets, error %v", text, len(got), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), line(1)[:8]) {
			t.Errorf("%v shows the secret", err)
		}
	}
}
