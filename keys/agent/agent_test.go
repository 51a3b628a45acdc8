//go:build unix

package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	leak.Main(m)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(randomBytes(ed25519.SeedSize)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// privateDir returns a directory for a socket: t.TempDir's names are too long for
// one.
func privateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve runs an agent until the test ends.
func serve(t testing.TB, ks ...Key) (*Client, *Server) {
	t.Helper()
	path := filepath.Join(privateDir(t), "s")
	server, err := Listen(path, ks...)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(context.Background()) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return NewClient(path, 0), server
}

// answering runs something that is not an agent: it reads a request and writes the given answer.
func answering(t *testing.T, reply []byte) *Client {
	t.Helper()
	path := filepath.Join(privateDir(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = readFrame(c)
			_, _ = c.Write(reply)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return NewClient(path, 0)
}

func framed(body []byte) []byte {
	var b bytes.Buffer
	_ = writeFrame(&b, body)
	return b.Bytes()
}

func TestAgentSigns(t *testing.T) {
	root, signing := newKey(), newKey()
	client, _ := serve(t, Key{Local(root), Statements}, Key{Local(signing), Messages})
	list, err := client.Keys(t.Context())
	if err != nil || len(list) != 2 || !list[0].Key.Equal(root.Public()) || list[0].For != Statements ||
		!list[1].Key.Equal(signing.Public()) || list[1].For != Messages {
		t.Errorf("%v, %v", list, err)
	}
	for _, c := range []struct {
		key ed25519.PrivateKey
		l   label.Label
	}{
		{root, label.Identity}, {root, label.Succession}, {signing, label.EnvelopeProof}, {signing, label.Voucher},
		{signing, label.SessionServerSign}, {signing, label.SessionClientSign},
	} {
		for _, n := range []int{0, 1, 64, MaxMessageSize - len(c.l)} {
			message := c.l.With(randomBytes(n))
			sig, err := client.Signer(c.key.Public().(ed25519.PublicKey)).Sign(message)
			if err != nil || !bytes.Equal(sig, ed25519.Sign(c.key, message)) {
				t.Errorf("%q and %d bytes: %x, %v", c.l, n, sig, err)
			}
		}
	}
}

// A04: a key signs what its purpose allows, and nothing of another protocol.
func TestA04AgentRefusesOtherMessages(t *testing.T) {
	root, signing, both := newKey(), newKey(), newKey()
	client, _ := serve(t, Key{Local(root), Statements}, Key{Local(signing), Messages}, Key{Local(both), Statements | Messages})
	allowed := map[label.Label][]ed25519.PrivateKey{label.Identity: {root, both}, label.Succession: {root, both}}
	for _, l := range label.All() {
		// The labels of signatures end in these words. A new label has to be given to a purpose, or
		// it is refused.
		if text := strings.TrimSuffix(string(l), "\x00"); regexp.MustCompile(` (proof|signature|signed message|voucher)$`).MatchString(text) {
			allowed[l] = []ed25519.PrivateKey{signing, both}
		}
	}
	if len(allowed) != 10 {
		t.Errorf("%d kinds of messages are signed: %q", len(allowed), slices.Collect(maps.Keys(allowed)))
	}
	for _, key := range []ed25519.PrivateKey{root, signing, both} {
		signer := client.Signer(key.Public().(ed25519.PublicKey))
		for _, l := range label.All() {
			_, err := signer.Sign(l.With([]byte("x")))
			if may := slices.ContainsFunc(allowed[l], func(k ed25519.PrivateKey) bool { return k.Equal(key) }); may != (err == nil) || !may && !errors.Is(err, ErrRefused) {
				t.Errorf("%q: %v", l, err)
			}
		}
		for _, message := range []string{
			"x", "GET / HTTP/1.1", "\x00", "\x00" + string(label.Identity), strings.ToUpper(string(label.EnvelopeProof)),
			string(label.Identity[:len(label.Identity)-1]), string(label.EnvelopeProof[:10]), "hopseal/2 keys public identity\x00",
		} {
			if _, err := signer.Sign([]byte(message)); !errors.Is(err, ErrRefused) {
				t.Errorf("%q: %v", message, err)
			}
		}
		for _, message := range [][]byte{nil, label.Identity.With(make([]byte, MaxMessageSize))} {
			if _, err := signer.Sign(message); !errors.Is(err, ErrRefused) {
				t.Errorf("%d bytes: %v", len(message), err)
			}
		}
	}
}

type failing struct {
	keys.Signer
	sign func([]byte) ([]byte, error)
}

func (f failing) Sign(m []byte) ([]byte, error) { return f.sign(m) }

// Each failure has its own error, which names the socket and says what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	key := newKey()
	public := key.Public().(ed25519.PublicKey)
	message := label.EnvelopeProof.With(randomBytes(64))
	sign := func(c *Client) error {
		_, err := c.Signer(public).Sign(message)
		return err
	}
	list := func(c *Client) error {
		_, err := c.Keys(t.Context())
		return err
	}
	held := func(f func([]byte) ([]byte, error)) *Client {
		c, _ := serve(t, Key{failing{Local(key), f}, Messages})
		return c
	}
	gone, server := serve(t, Key{Local(key), Messages})
	server.Close()
	other, _ := serve(t, Key{Local(newKey()), Messages})
	foreign := ed25519.Sign(newKey(), message)
	for name, c := range map[string]struct {
		err  error
		want error
		says string
	}{
		"no agent":             {sign(NewClient(filepath.Join(privateDir(t), "s"), 0)), ErrGone, "start it"},
		"agent gone":           {sign(gone), ErrGone, "start it"},
		"another agent":        {sign(other), ErrNoKey, "give it the key"},
		"its Signer fails":     {sign(held(func([]byte) ([]byte, error) { return nil, errors.New("secret detail") })), ErrSigner, "its own log"},
		"its Signer panics":    {sign(held(func([]byte) ([]byte, error) { panic("secret detail") })), ErrGone, "start it again"},
		"its Signer is odd":    {sign(held(func([]byte) ([]byte, error) { return make([]byte, 63), nil })), ErrSigner, "its own log"},
		"another key's":        {sign(held(func([]byte) ([]byte, error) { return foreign, nil })), ErrSignature, "do not trust"},
		"another message's":    {sign(answering(t, framed(reply{statusOK, ed25519.Sign(key, []byte("x"))}.append(nil)))), ErrSignature, "do not trust"},
		"a list for an answer": {sign(answering(t, framed(reply{statusOK, make([]byte, 33)}.append(nil)))), ErrSignature, "do not trust"},
		"nothing":              {sign(answering(t, nil)), ErrGone, "start it again"},
		"half an answer":       {sign(answering(t, framed(reply{statusOK, foreign}.append(nil))[:30])), ErrGone, "start it again"},
		"garbage":              {sign(answering(t, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))), ErrReply, "this version"},
		"garbage in a frame":   {sign(answering(t, framed([]byte{0xc1}))), ErrReply, "this version"},
		"unknown status":       {sign(answering(t, framed(reply{9, nil}.append(nil)))), ErrReply, "this version"},
		"refusal with result":  {sign(answering(t, framed(reply{statusRefused, []byte{1}}.append(nil)))), ErrReply, "this version"},
		"odd list":             {list(answering(t, framed(reply{statusOK, make([]byte, 32)}.append(nil)))), ErrReply, "this version"},
		"purpose 0":            {list(answering(t, framed(reply{statusOK, make([]byte, 33)}.append(nil)))), ErrReply, "this version"},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.says) || !strings.Contains(c.err.Error(), "agent") ||
			strings.ContainsAny(c.err.Error(), "\n") || strings.Contains(c.err.Error(), "secret detail") {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if _, err := other.Signer(nil).Sign(message); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	key, release := newKey(), make(chan struct{})
	asked := make(chan struct{}, 2)
	client, _ := serve(t, Key{failing{Local(key), func(m []byte) ([]byte, error) {
		asked <- struct{}{}
		<-release
		return ed25519.Sign(key, m), nil
	}}, Messages})
	defer close(release)
	client.timeout = 50 * time.Millisecond
	_, err := client.Signer(key.Public().(ed25519.PublicKey)).Sign(label.Voucher.With(nil))
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Keys(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A33, A34: clients that stall or send rubbish are cut, and others are served.
func TestA33StalledClientsAreCut(t *testing.T) {
	key := newKey()
	path := filepath.Join(privateDir(t), "s")
	server, err := Listen(path, Key{Local(key), Messages})
	if err != nil {
		t.Fatal(err)
	}
	server.timeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	var stalled []net.Conn
	for i := range 2 * maxConnections {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([][]byte{nil, {0}, {0, 9, 0x94}, {0xff, 0xff}, framed([]byte{0xc1}), framed(nil)}[i%6])
		stalled = append(stalled, c)
	}
	message := label.EnvelopeProof.With(nil)
	if _, err := NewClient(path, 0).Signer(key.Public().(ed25519.PublicKey)).Sign(message); err != nil {
		t.Error(err)
	}
	for _, c := range stalled { // cut, without an answer
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	key := Key{Local(newKey()), Messages}
	dir := privateDir(t)
	path := filepath.Join(dir, "s")
	server, err := Listen(path, key)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if info := must(os.Lstat(path)); info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := Listen(path, key); !errors.Is(err, ErrInUse) {
		t.Errorf("a second agent: %v", err)
	}
	client := NewClient(path, 0)
	for _, mode := range []fs.FileMode{0o777, 0o701, 0o710, 0o750, 0o755} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Keys(t.Context()); !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("directory %v, client: %v", mode, err)
		}
		if _, err := Listen(filepath.Join(dir, "s2"), key); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("directory %v, server: %v", mode, err)
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Keys(t.Context()); !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("socket 0666: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir, key := privateDir(t), Key{Local(newKey()), Messages}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		keys []Key
		says string
	}{
		"no keys":          {filepath.Join(dir, "s"), nil, "1 to 64 keys"},
		"too many keys":    {filepath.Join(dir, "s"), slices.Repeat([]Key{key}, maxKeys+1), "1 to 64 keys"},
		"no Signer":        {filepath.Join(dir, "s"), []Key{{nil, Messages}}, "without a Signer"},
		"no purpose":       {filepath.Join(dir, "s"), []Key{{key.Signer, 0}}, "needs a purpose"},
		"unknown purpose":  {filepath.Join(dir, "s"), []Key{{key.Signer, 4}}, "needs a purpose"},
		"no directory":     {filepath.Join(dir, "none", "s"), []Key{key}, "make the directory"},
		"a file":           {file, []Key{key}, "not a socket"},
		"a very long path": {filepath.Join(dir, strings.Repeat("x", 120)), []Key{key}, "100 bytes"},
	} {
		if _, err := Listen(c.path, c.keys...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b := must(os.ReadFile(file)); string(b) != "precious" {
		t.Error("a file was overwritten")
	}
	if _, err := NewClient(file, 0).Keys(t.Context()); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "not a socket") {
		t.Error(err)
	}
}

// An agent that was killed leaves its socket; the next one takes its place, and
// clients go on.
func TestAgentIsReplaced(t *testing.T) {
	key := newKey()
	path := filepath.Join(privateDir(t), "s")
	dead := must(net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}))
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	client := NewClient(path, 0)
	signer := client.Signer(key.Public().(ed25519.PublicKey))
	if _, err := signer.Sign(label.Voucher.With(nil)); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	server, err := Listen(path, Key{Local(key), Messages})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(context.Background()) }()
	if _, err := signer.Sign(label.Voucher.With(nil)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(server.Close(), server.Close(), <-done); err != nil {
		t.Error(err)
	}
}

func TestConcurrentClients(t *testing.T) {
	key := newKey()
	client, _ := serve(t, Key{Local(key), Messages})
	signer := client.Signer(key.Public().(ed25519.PublicKey))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := signer.Sign(label.EnvelopeProof.With(randomBytes(64))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestA42LocalPrintsNoSecret(t *testing.T) {
	key := newKey()
	signer := Local(key)
	type holder struct{ Signer, hidden keys.Signer }
	for _, v := range []any{signer, holder{signer, signer}, Key{signer, Messages}, []keys.Signer{signer}} {
		out := fmt.Sprintf("%v %+v %#v %x %s %q %d", v, v, v, v, v, v, v) + string(must(json.Marshal(v)))
		for _, shown := range []string{string(key.Seed()), fmt.Sprintf("%x", key.Seed()), strings.Trim(fmt.Sprint(key.Seed()), "[]")} {
			if strings.Contains(out, shown) {
				t.Errorf("%T prints its key", v)
			}
		}
	}
	changed := newKey()
	signer = Local(changed)
	public := bytes.Clone(changed[32:])
	clear(changed)
	if !bytes.Equal(signer.PublicKey(), public) {
		t.Error("the caller's bytes are kept, not a copy")
	}
}

func TestPurposeNames(t *testing.T) {
	for p, want := range map[Purpose]string{
		Statements: "statements", Messages: "messages", Statements | Messages: "statements and messages", 0: "Purpose(0)", 5: "statements and Purpose(5)",
	} {
		if p.String() != want {
			t.Errorf("%q, want %q", p, want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request{op: opList}.append(nil))
	f.Add(request{op: opSign, message: []byte("m")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, b, func() {
			if q, err := parseRequest(b); err == nil && !bytes.Equal(q.append(nil), b) {
				t.Fatalf("%x is read, and written again as %x", b, q.append(nil))
			}
		})
	})
}

func FuzzParseReply(f *testing.F) {
	f.Add(reply{statusOK, make([]byte, 64)}.append(nil))
	f.Add(reply{statusRefused, nil}.append(nil))
	f.Add(reply{statusOK, append([]byte{1}, make([]byte, 32)...)}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, b, func() {
			p, err := parseReply(b)
			if err != nil {
				return
			}
			if again := p.append(nil); !bytes.Equal(again, b) {
				t.Fatalf("%x is read, and written again as %x", b, again)
			}
			if list, err := parseList(p.result); err == nil && !bytes.Equal(appendList(nil, list), p.result) {
				t.Fatalf("the list %x comes back otherwise", p.result)
			}
		})
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add(framed([]byte("body")))
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, b, func() {
			if body, err := readFrame(bytes.NewReader(b)); err == nil && !bytes.HasPrefix(b, framed(body)) {
				t.Fatalf("%x is read as %x", b, body)
			}
		})
	})
}

// bounded checks that a parser allocates at most 8 bytes for each that it reads, and a constant
// (A28).
func bounded(t *testing.T, b []byte, parse func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b))+1<<16 {
		t.Fatalf("%d bytes allocated %d", len(b), used)
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	for _, b := range [][]byte{request{op: opList}.append(nil), request{op: opSign, message: randomBytes(40)}.append(nil)} {
		for n := range b {
			if _, err := parseRequest(b[:n]); err == nil {
				t.Errorf("%d bytes of %d", n, len(b))
			}
		}
		if _, err := parseRequest(append(b, 0)); err == nil {
			t.Error("a byte more")
		}
	}
}

func BenchmarkSign(b *testing.B) {
	key := newKey()
	client, _ := serve(b, Key{Local(key), Messages})
	signer := client.Signer(key.Public().(ed25519.PublicKey))
	message := label.EnvelopeProof.With(randomBytes(64))
	for b.Loop() {
		if _, err := signer.Sign(message); err != nil {
			b.Fatal(err)
		}
	}
}

// line is the next line that a child wrote.
func line(t *testing.T, r *bufio.Scanner) string {
	t.Helper()
	if !r.Scan() {
		t.Fatal("the agent ended: ", r.Err())
	}
	return r.Text()
}
