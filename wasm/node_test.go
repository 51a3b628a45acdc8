//go:build !js

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// node returns a command that runs Node, or ends the test.
func node(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		const missing = "no Node found: install version 20.19 or later"
		if os.Getenv("HOPSEAL_BROWSER_TESTS") == "require" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return exec.CommandContext(t.Context(), path, args...)
}

// run returns what a command writes to standard output.
func run(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.Bytes(), tail(out))
	}
	return out
}

func tail(b []byte) []byte { return b[max(0, len(b)-8000):] }

func TestThePackageInNode(t *testing.T) {
	r := buildPackage(t)
	cmd := node(t, "--expose-gc", "--test")
	cmd.Dir = r.Dir
	out := run(t, cmd)
	if !bytes.Contains(out, []byte("# fail 0")) || bytes.Contains(out, []byte("# pass 0")) ||
		!bytes.Contains(out, []byte("# skipped 0")) {
		t.Errorf("%s", tail(out))
	}
}

// party is what both sides of TestInterop know.
type party struct {
	ann, bob *keys.Identity
	shared   *keys.SharedKeyset
}

func newParty(t *testing.T) party {
	t.Helper()
	var p party
	var err error
	if p.ann, err = keys.GenerateIdentity("ann"); err != nil {
		t.Fatal(err)
	}
	if p.bob, err = keys.GenerateIdentity("bob"); err != nil {
		t.Fatal(err)
	}
	if p.shared, err = keys.GenerateSharedKeyset(); err != nil {
		t.Fatal(err)
	}
	return p
}

// What crosses between the sides, as JSON.
type (
	message struct {
		Suite     string `json:"suite"`
		Sealed    []byte `json:"sealed"`
		Plaintext []byte `json:"plaintext"`
	}
	toJS struct {
		Ann            []byte    `json:"ann"`
		AnnFingerprint string    `json:"annFingerprint"`
		Bob            []byte    `json:"bob"`
		BobFingerprint string    `json:"bobFingerprint"`
		Shared         []byte    `json:"shared"`
		Peers          []byte    `json:"peers"`
		Messages       []message `json:"messages"`
	}
	fromJS struct {
		Cid            []byte    `json:"cid"`
		CidSecret      []byte    `json:"cidSecret"`
		CidFingerprint string    `json:"cidFingerprint"`
		Bob            []byte    `json:"bob"`
		Shared         []byte    `json:"shared"`
		Peers          []byte    `json:"peers"`
		Messages       []message `json:"messages"`
	}
)

// TestInterop seals natively, where Tink keeps the keys, and opens in Node through
// the package, and the other way round, in every suite. Keys and known peers cross
// as well.
func TestInterop(t *testing.T) {
	buildPackage(t)
	p := newParty(t)
	file := filepath.Join(t.TempDir(), "given.json")
	given, err := json.Marshal(p.give(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, given, 0o600); err != nil {
		t.Fatal(err)
	}
	var back fromJS
	if err := json.Unmarshal(run(t, node(t, "testdata/interop.mjs", file)), &back); err != nil {
		t.Fatal(err)
	}
	p.take(t, back)
}

func (p party) give(t *testing.T) toJS {
	t.Helper()
	var token insecurecleartext.Token
	bob, err := p.bob.MarshalCleartext(token)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := p.shared.MarshalCleartext(token)
	if err != nil {
		t.Fatal(err)
	}
	var peers trust.KnownPeers
	if err := peers.Admit(trust.Expected{Room: "room"}, p.ann.Public()); err != nil {
		t.Fatal(err)
	}
	out := toJS{
		Ann: p.ann.Public().Bytes(), AnnFingerprint: p.ann.Fingerprint().String(),
		Bob: bob, BobFingerprint: p.bob.Fingerprint().String(), Shared: shared, Peers: peers.Bytes(),
	}
	for suite, s := range map[string]envelope.Sealer{
		"recipients":    {From: p.ann, To: []*keys.PublicIdentity{p.bob.Public()}},
		"shared":        {Shared: p.shared, Party: "go", ToParty: "js"},
		"shared-signed": {Shared: p.shared, From: p.ann, ToParty: "js"},
	} {
		s.Context, s.ContentType = "interop", "from go"
		for _, size := range []int{0, 1, 1000, 100_000} {
			plaintext := bytes.Repeat([]byte{byte(size), 7}, size/2)
			sealed, err := s.Seal(nil, plaintext)
			if err != nil {
				t.Fatal(err)
			}
			out.Messages = append(out.Messages, message{suite, sealed, plaintext})
		}
	}
	return out
}

func (p party) take(t *testing.T, back fromJS) {
	t.Helper()
	cid, err := keys.ParsePublic(back.Cid)
	if err != nil || cid.Name() != "cid" || cid.Serial() <= 1 || cid.Fingerprint().String() != back.CidFingerprint {
		t.Fatalf("public identity made in JavaScript: %v", err)
	}
	var token insecurecleartext.Token
	secret, err := keys.ParseCleartextIdentity(back.CidSecret, token)
	if err != nil || secret.Fingerprint() != cid.Fingerprint() {
		t.Fatalf("identity made in JavaScript: %v", err)
	}
	bob, err := keys.ParseCleartextIdentity(back.Bob, token)
	if err != nil || bob.Fingerprint() != p.bob.Fingerprint() {
		t.Fatalf("identity returned by JavaScript: %v", err)
	}
	if _, err := keys.ParseCleartextSharedKeyset(back.Shared, token); err != nil {
		t.Fatalf("shared keyset made in JavaScript: %v", err)
	}
	peers, err := trust.ParseKnownPeers(back.Peers)
	if err != nil || len(peers.Admitted(trust.Expected{Room: "room"})) != 2 {
		t.Errorf("known peers of JavaScript: %v", err)
	}
	ofAnn, ofShared := envelope.FirstReplayGuard(p.ann), envelope.FirstReplayGuard(p.shared)
	openers := map[string]envelope.Opener{
		"recipients":    {Identity: p.ann, From: cid, Replay: ofAnn},
		"shared":        {Shared: p.shared, Party: "go", FromParty: "js", Replay: ofShared},
		"shared-signed": {Shared: p.shared, Party: "go", Identity: p.ann, From: cid, Replay: ofShared},
	}
	if len(back.Messages) != 12 {
		t.Errorf("%d messages", len(back.Messages))
	}
	for _, m := range back.Messages {
		o := openers[m.Suite]
		o.Context = "interop"
		got, header, err := o.Open(nil, m.Sealed)
		if err != nil || !bytes.Equal(got, m.Plaintext) || header.ContentType != "from js" {
			t.Errorf("suite %s, %d bytes: %v (%v)", m.Suite, len(m.Plaintext), err, envelope.ReasonOf(err))
		}
	}
}

// TestNodeTalksThroughARealRelay has a Go client and one in Node meet at a hub.
// Node 20 has a WebSocket behind a flag.
func TestNodeTalksThroughARealRelay(t *testing.T) {
	buildPackage(t)
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Policy: transport.Development}})
	server := httptest.NewServer(hub)
	defer server.Close()
	defer hub.Shutdown(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	ann, err := relay.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	if _, err := ann.Join(ctx, "room", "ann", []byte("presence of ann")); err != nil {
		t.Fatal(err)
	}
	cmd := node(t, "--no-warnings", "--experimental-websocket", "testdata/relay.mjs", server.URL)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	echo(ctx, t, ann)
	io.WriteString(stdin, "done\n")
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.Bytes(), out.Bytes())
	}
	if got := strings.TrimSpace(out.String()); got != "all well" {
		t.Errorf("Node said %q", got)
	}
}

// echo answers messages with "echo: " before them until the other member leaves.
func echo(ctx context.Context, t *testing.T, c *relay.Client) {
	t.Helper()
	for {
		event, err := c.Next(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		switch e := event.(type) {
		case relay.Entered:
			if e.Name != "node" || string(e.Presence) != "presence of node" {
				t.Errorf("entered: %q %q", e.Name, e.Presence)
			}
		case relay.Message:
			if err := c.Publish(ctx, "room", append([]byte("echo: "), e.Payload...)); err != nil {
				t.Error(err)
				return
			}
		case relay.Left:
			return
		}
	}
}
