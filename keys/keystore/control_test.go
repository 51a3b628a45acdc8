//go:build unix

package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
	"github.com/hopseal/hopseal/keys/trust"
)

// Most tests of Run have a clock of their own.
func init() { serves = false }

// serving makes a store take requests until the test ends or calls stop. At the end no goroutine may be left.
func serving(t testing.TB, s *Store, with ...func(*controlServer)) (stop func()) {
	t.Helper()
	leaks := leak.Running()
	l, err := s.listen()
	if err != nil {
		t.Fatal(err)
	}
	w := newControlServer(s, l)
	for _, f := range with {
		f(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		leak.None(t, leaks)
	})
	return stop
}

func awaitSocket(t testing.TB, s *Store) {
	t.Helper()
	for range 5000 {
		if _, err := os.Lstat(socket.Path(s.path)); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("there is no socket")
}

func served(t testing.TB) (*Store, *Client) {
	t.Helper()
	cheap(t)
	s, path := newStore(t)
	serving(t, s)
	return s, newClient(t, path)
}

func newClient(t testing.TB, path string) *Client {
	t.Helper()
	c, err := OpenClient(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryRequest asks the writer for every kind of change. The change is in the writer, in the client
// and in the file.
func TestEveryRequest(t *testing.T) {
	s, c := served(t)
	ctx := t.Context()
	peer, next := testIdentity(t, "bob"), testIdentity(t, "carol")
	at := trust.Expected{Role: trust.RoleClient}
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	signing := KeyRef{Use: keys.UseSigning}
	key := func(r KeyRef, n int) KeyRef { r.TinkID = s.keys(r)[n].TinkID; return r }
	made := func(_ uint32, err error) error { return err }
	withdrawn := func() *keys.PublicIdentity {
		p, err := next.Revocation()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, step := range []struct {
		name string
		do   func() error
		is   func(contents *contents) bool
	}{
		{"admit", func() error { return c.Admit(ctx, at, peer.Public()) },
			func(k *contents) bool { return len(k.known.Admitted(at)) == 1 }},
		{"succeed", func() error { return c.Succeed(ctx, succession(t, peer, next)) },
			func(k *contents) bool { return slices.Contains(k.known.Admitted(at), next.Fingerprint()) }},
		{"revoked", func() error { return c.RevokePeer(ctx, withdrawn()) },
			func(k *contents) bool { return k.known.All()[0].Revoked }},
		{"forget", func() error { return c.Forget(ctx, at, next.Fingerprint()) },
			func(k *contents) bool { return len(k.known.All()) == 0 }},
		{"add", func() error { return made(c.Add(ctx, signing)) },
			func(k *contents) bool { return has(k, keys.UseSigning, keys.StagePending) }},
		{"promote", func() error { return c.Promote(ctx, key(signing, 1)) },
			func(k *contents) bool { return has(k, keys.UseSigning, keys.StageRetiring) }},
		{"disable", func() error { return c.Disable(ctx, key(signing, 0)) },
			func(k *contents) bool { return has(k, keys.UseSigning, keys.StageArchived) }},
		{"destroy", func() error { return c.Destroy(ctx, key(signing, 0)) },
			func(k *contents) bool { return !has(k, keys.UseSigning, keys.StageArchived) }},
		{"replace", func() error { return made(c.Replace(ctx, signing)) },
			func(k *contents) bool { return has(k, keys.UseSigning, keys.StageRetiring) }},
		{"put", func() error { return c.PutSharedKeyset(ctx, "orders", set) },
			func(k *contents) bool { _, ok := k.keyset("orders"); return ok }},
		{"update", func() error { return c.UpdateSharedKeyset(ctx, "orders", set) },
			func(k *contents) bool { _, ok := k.keyset("orders"); return ok }},
		{"rotate", func() error { _, _, err := c.Rotate(ctx, &RotationPolicy{}); return err },
			func(k *contents) bool { return has(k, keys.UseSigning, keys.StageArchived) }},
		{"renew", func() error { return c.Renew(ctx) }, func(*contents) bool { return true }},
		{"revoke", func() error { return c.Revoke(ctx) },
			func(k *contents) bool { return k.identity.Public().Revoked() }},
	} {
		before := s.contents.generation
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if s.contents.generation == before && step.name != "update" {
			t.Errorf("%s: nothing was written", step.name)
		}
		r, err := OpenReplica(ctx, s.Path(), passphrase)
		if err != nil {
			t.Fatal(err)
		}
		for who, k := range map[string]*contents{"writer": &s.contents, "client": &c.contents, "file": &r.contents} {
			if !step.is(k) || k.generation != s.contents.generation {
				t.Errorf("%s: the %s does not have it", step.name, who)
			}
		}
	}
}

func has(k *contents, use keys.Use, stage keys.Stage) bool {
	return slices.ContainsFunc(k.identity.Keys(), func(i keys.KeyInfo) bool { return i.Use == use && i.Stage == stage })
}

func succession(t testing.TB, old, next *keys.Identity) *trust.Succession {
	t.Helper()
	s, err := trust.Succeed(old, next)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestARefusalIsTheWriters makes requests that the writer refuses. The client returns the same error as the
// writer's own method.
func TestARefusalIsTheWriters(t *testing.T) {
	s, c := served(t)
	ctx := t.Context()
	bob := testIdentity(t, "bob")
	revoked, err := bob.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	primary := KeyRef{Use: keys.UseSigning, TinkID: s.keys(KeyRef{Use: keys.UseSigning})[0].TinkID}
	known := s.KnownPeers()
	for name, pair := range map[string][2]error{
		"stage":         {c.Destroy(ctx, primary), s.Destroy(primary)},
		"no keyset":     {c.Promote(ctx, KeyRef{Use: keys.UseShared, Keyset: "none"}), s.Promote(KeyRef{Use: keys.UseShared, Keyset: "none"})},
		"trust":         {c.Admit(ctx, trust.Expected{}, revoked), known.Admit(trust.Expected{}, revoked)},
		"other root":    {c.Admit(ctx, trust.Expected{Fingerprint: c.Identity().Fingerprint()}, bob.Public()), known.Admit(trust.Expected{Fingerprint: c.Identity().Fingerprint()}, bob.Public())},
		"not a revoked": {c.RevokePeer(ctx, bob.Public()), known.Revoke(bob.Public())},
	} {
		remote, own := pair[0], pair[1]
		if remote == nil || own == nil || remote.Error() != own.Error() || errors.Is(remote, ErrStage) != errors.Is(own, ErrStage) {
			t.Errorf("%s: %v, and the store's own is %v", name, remote, own)
		}
		a, _ := errors.AsType[*trust.Error](remote)
		b, ok := errors.AsType[*trust.Error](own)
		if ok && (a == nil || a.Reason != b.Reason || a.Got != b.Got || a.Want != b.Want) {
			t.Errorf("%s: %+v, want %+v", name, a, b)
		}
	}
	generation := s.contents.generation
	for name, err := range map[string]error{
		"long name":   c.PutSharedKeyset(ctx, strings.Repeat("x", MaxKeysetName+1), mustShared(t)),
		"long scope":  c.Forget(ctx, trust.Expected{Room: strings.Repeat("x", bridge.MaxName+1)}, bob.Fingerprint()),
		"no text":     c.Forget(ctx, trust.Expected{Room: "\xff"}, bob.Fingerprint()),
		"no use":      c.Promote(ctx, KeyRef{Use: 77}),
		"negative":    func() error { _, _, err := c.Rotate(ctx, &RotationPolicy{Age: -1}); return err }(),
		"no identity": c.Admit(ctx, trust.Expected{}, nil),
	} {
		if err == nil || errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.contents.generation != generation {
		t.Error("something was written")
	}
}

func mustShared(t testing.TB) *keys.SharedKeyset {
	t.Helper()
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestRunTakesRequests shows that Run takes requests, and rotates by its own policy.
func TestRunTakesRequests(t *testing.T) {
	cheap(t)
	serves = true
	t.Cleanup(func() { serves = false })
	defer leak.None(t, leak.Running())
	s, path := newStore(t)
	done := make(chan error, 1)
	policy := RotationPolicy{Age: time.Hour, Lead: time.Minute}
	go func() { done <- s.Run(context.Background(), policy) }()
	awaitSocket(t, s)
	c := newClient(t, path)
	if _, _, err := c.Rotate(t.Context(), &DefaultRotation); !errors.Is(err, ErrOtherPolicy) {
		t.Error(err)
	}
	next, _, err := c.Rotate(t.Context(), nil)
	if d := time.Until(next); err != nil || d < 58*time.Minute || d > 59*time.Minute {
		t.Errorf("%v, %v", d, err)
	}
	if err := s.Serve(t.Context()); !errors.Is(err, errServed) {
		t.Error(err)
	}
	s.Close() // Run ends at once, not a minute later
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := c.Renew(t.Context()); !errors.Is(err, ErrNotServed) {
		t.Error(err)
	}
	if err := s.Serve(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := os.Lstat(socket.Path(path)); err == nil {
		t.Error("the socket stays")
	}
}

// unanswered sends forged bytes, and expects that the connection ends without an answer.
func unanswered(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	conn.Write(b) // may fail, where the writer has ended it already
	conn.(*net.UnixConn).CloseWrite()
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("it was answered: %x", got)
	}
	conn.Close()
}

func dialed(t *testing.T, s *Store) net.Conn {
	t.Helper()
	conn, err := socket.Dial(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestWhoDoesNotKnowTheKey connects without the store's key: the writer tells such a client nothing, and
// takes no request from it.
func TestWhoDoesNotKnowTheKey(t *testing.T) {
	s, c := served(t)
	if _, err := OpenClient(t.Context(), s.Path(), Passphrase([]byte("another one altogether"))); !errors.Is(err, ErrPassphrase) {
		t.Error(err)
	}
	generation := s.contents.generation
	c.control = controlKey(make([]byte, 32))
	if err := c.Renew(t.Context()); !errors.Is(err, ErrNotTheWriter) {
		t.Error(err)
	}
	// A client that sends a request all the same.
	conn := dialed(t, s)
	client := newNonce()
	if err := writeFrame(conn, appendHello(nil, client)); err != nil {
		t.Fatal(err)
	}
	b, err := readFrame(conn, maxGreeting)
	if err != nil {
		t.Fatal(err)
	}
	writer, _, err := parseHi(b)
	if err != nil {
		t.Fatal(err)
	}
	link := newLinkKeys(c.control, client, writer)
	var frame bytes.Buffer
	writeFrame(&frame, sealFrame(link.request, request{op: opRevoke}.append(nil)))
	unanswered(t, conn, frame.Bytes())
	if s.contents.generation != generation {
		t.Error("it was done")
	}
}

// recorded lets a client make one call, and returns what each end sent.
func recorded(t *testing.T, c *Client, do func() error) (sent, received []byte) {
	t.Helper()
	r := new(recorder)
	tap := c.tap
	c.tap = func(conn net.Conn) net.Conn { r.Conn = conn; return r }
	defer func() { c.tap = tap }()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return r.sent.Bytes(), r.received.Bytes()
}

type recorder struct {
	net.Conn
	sent, received bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) { r.sent.Write(b); return r.Conn.Write(b) }
func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.received.Write(b[:n])
	return n, err
}

// TestARequestIsDoneOnce sends a recorded request again, whole and in parts: it is not done again.
func TestARequestIsDoneOnce(t *testing.T) {
	s, c := served(t)
	sent, _ := recorded(t, c, func() error { return c.Renew(t.Context()) })
	generation := s.contents.generation
	for n := range len(sent) + 1 {
		conn := dialed(t, s)
		conn.Write(sent[:n])
		conn.(*net.UnixConn).CloseWrite()
		got, _ := io.ReadAll(conn)
		if len(got) != 0 && len(got) != 4+1+2+nonceSize+2+proofSize {
			t.Errorf("%d of %d bytes are answered with %d", n, len(sent), len(got))
		}
		conn.Close()
	}
	if s.contents.generation != generation {
		t.Error("it was done again")
	}
	if err := c.Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// instead lets f answer at the socket in the writer's place.
func instead(t *testing.T, store string, f func(conn net.Conn)) {
	t.Helper()
	l, err := socket.Listen(store)
	if err != nil {
		t.Fatal(err)
	}
	var each sync.WaitGroup
	each.Go(func() {
		for {
			conn, err := l.Listener.AcceptUnix()
			if err != nil {
				return
			}
			each.Go(func() { f(conn); conn.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); each.Wait() })
}

// TestRecordedAnswers lets an attacker who took the socket's place replay a writer's answers: the client
// sends him no request.
func TestRecordedAnswers(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	stop := serving(t, s)
	c := newClient(t, path)
	_, received := recorded(t, c, func() error { return c.Renew(t.Context()) })
	stop()
	for name, answer := range map[string][]byte{"recorded": received, "garbage": bytes.Repeat([]byte{0, 0, 0, 9}, 40), "long": {0xff, 0xff, 0xff, 0xff}} {
		t.Run(name, func(t *testing.T) {
			var more atomic.Int64
			t.Cleanup(func() { // when the attacker has read everything
				if n := more.Load(); n > 0 {
					t.Errorf("he was sent %d bytes", n)
				}
			})
			instead(t, s.path, func(conn net.Conn) {
				readFrame(conn, maxGreeting)
				conn.Write(answer)
				n, _ := io.Copy(io.Discard, conn)
				more.Add(n)
			})
			if err := c.Renew(t.Context()); !errors.Is(err, ErrNotTheWriter) {
				t.Error(err)
			}
		})
	}
}

// TestAWriterThatDoesNotAnswer takes a request, and then ends, answers something else, or takes too long:
// the client says that the change may have been made.
func TestAWriterThatDoesNotAnswer(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	stop := serving(t, s)
	c := newClient(t, path)
	_, before := recorded(t, c, func() error { return c.Renew(t.Context()) })
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	for name, then := range map[string]func(net.Conn, linkKeys){
		"ends":     func(net.Conn, linkKeys) {},
		"garbage":  func(c net.Conn, _ linkKeys) { writeFrame(c, make([]byte, 100)) },
		"recorded": func(c net.Conn, _ linkKeys) { c.Write(before[4+1+2+nonceSize+2+proofSize:]) },
		"reflects": func(c net.Conn, k linkKeys) { writeFrame(c, sealFrame(k.request, answer{}.append(nil))) },
		"nonsense": func(c net.Conn, k linkKeys) { writeFrame(c, sealFrame(k.answer, []byte("yes"))) },
		"waits":    func(c net.Conn, _ linkKeys) { cancel(); io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			instead(t, s.path, func(conn net.Conn) {
				if link, _, err := receive(conn, c.control); err == nil {
					then(conn, link)
				}
			})
			use := t.Context()
			if name == "waits" {
				use = ctx
			}
			if err := c.Renew(use); !errors.Is(err, ErrNoAnswer) || errors.Is(err, context.Canceled) != (name == "waits") {
				t.Error(err)
			}
		})
	}
	if err := c.Renew(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
}

// TestAFlood makes one request while many other clients say nothing, or send slowly.
func TestAFlood(t *testing.T) {
	s, c := served(t)
	for range controlConnections - 1 {
		dialed(t, s).Write([]byte{0})
	}
	for range 200 {
		dialed(t, s).Close()
	}
	if err := c.Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestManyAsk makes many requests at once, while the writer changes the store itself.
func TestManyAsk(t *testing.T) {
	s, c := served(t)
	var all sync.WaitGroup
	const n = 10
	for i := range n {
		peer := testIdentity(t, fmt.Sprint("peer ", i)).Public()
		all.Go(func() {
			if err := c.Admit(context.Background(), trust.Expected{Room: fmt.Sprint(i), Role: trust.RoleMember}, peer); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := s.Renew(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(reopened(t, s).KnownPeers().All()); got != n {
		t.Errorf("%d peers", got)
	}
}

// TestCloseWhileTheyAsk ends the store while requests are under way. Each is done or not, and
// the next writer serves at once.
func TestCloseWhileTheyAsk(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	serving(t, s)
	c := newClient(t, path)
	var all sync.WaitGroup
	var done, unknown int
	var mu sync.Mutex
	for range 8 {
		all.Go(func() {
			for {
				err := c.Renew(context.Background())
				mu.Lock()
				switch {
				case err == nil:
					done++
				case errors.Is(err, ErrNoAnswer):
					unknown++
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	dialed(t, s) // says nothing, and delays nobody
	time.Sleep(20 * time.Millisecond)
	s.Close()
	all.Wait()
	again, err := Open(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := int(again.contents.generation) - 1; n < done || n > done+unknown {
		t.Errorf("%d changes; %d were answered, %d not", n, done, unknown)
	}
	serving(t, again)
	if err := c.Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWhatIsAtTheSocketsPlace shows that a writer replaces a socket that a killed writer has left, and
// nothing else.
func TestWhatIsAtTheSocketsPlace(t *testing.T) {
	cheap(t)
	for name, c := range map[string]struct {
		make  func(t *testing.T, path string) error
		taken bool
	}{
		"left behind": {func(_ *testing.T, path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}, true},
		"living": {func(t *testing.T, path string) error {
			l, err := net.Listen("unix", path)
			t.Cleanup(func() { l.Close() })
			return err
		}, false},
		"datagrams": {func(t *testing.T, path string) error {
			l, err := net.ListenPacket("unixgram", path)
			t.Cleanup(func() { l.Close() })
			return err
		}, false},
		"file":   {func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("precious"), 0o600) }, false},
		"folder": {func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) }, false},
		"link":   {func(_ *testing.T, path string) error { return os.Symlink("precious", path) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			s, err := Create(t.Context(), "s", passphrase, testIdentity(t, "alice"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := c.make(t, "s.sock"); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat("s.sock")
			l, err := s.listen()
			after, _ := os.Lstat("s.sock")
			if (err == nil) != c.taken || (l != nil) != c.taken || after == nil || !c.taken && !os.SameFile(before, after) {
				t.Errorf("taken: %v, %v", err == nil, err)
			}
			if c.taken && after.Mode().Perm() != 0o600 {
				t.Error(after.Mode())
			}
		})
	}
}

// TestLongPaths uses stores whose path is longer than a socket's may be.
func TestLongPaths(t *testing.T) {
	cheap(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s", strings.Repeat("n", 60), strings.Repeat("n", 200)} {
		s, err := Create(t.Context(), filepath.Join(dir, name), passphrase, testIdentity(t, "alice"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if runtime.GOOS != "linux" { // Linux has a short path to an open folder
			if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "move the store to a shorter one") {
				t.Error(err)
			}
			continue
		}
		serving(t, s)
		if err := newClient(t, s.Path()).Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestServeAgain calls Serve when an earlier Serve has closed the socket but has not returned yet.
func TestServeAgain(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	first, err := s.listen()
	if err != nil {
		t.Fatal(err)
	}
	s.control.closeSocket(first)
	serving(t, s)
	s.control.closeSocket(first)
	if err := newClient(t, path).Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestThePolicyOfAStoreThatServes shows that Run's policy counts even if Serve takes the requests.
func TestThePolicyOfAStoreThatServes(t *testing.T) {
	s, c := served(t)
	ctx := t.Context()
	end := s.serveBeside(ctx, RotationPolicy{NoRequests: true}, nil)
	if _, _, err := c.Rotate(ctx, &DefaultRotation); !errors.Is(err, ErrOtherPolicy) {
		t.Error(err)
	}
	end()
	if _, _, err := c.Rotate(ctx, &DefaultRotation); err != nil {
		t.Error(err)
	}
}

// TestALongAnswer shows that an answer with a long text fits into a frame.
func TestALongAnswer(t *testing.T) {
	for _, c := range []string{"x", "\xff", "é", "\x1b", "€", "😀", "\n"} {
		for n := range 5 {
			a := answerOf(errors.New(strings.Repeat("a", n) + strings.Repeat(c, maxAnswer)))
			if got, err := parseAnswer(a.append(nil)); err != nil || got.text == "" {
				t.Errorf("%q: %v", c, err)
			}
		}
	}
	full := &KeysetFullError{KeyRef{keys.UseShared, strings.Repeat("x", MaxKeysetName), 1 << 31}, time.UnixMilli(maxMillis)}
	a := answer{code: 1, text: strings.Repeat("x", maxAnswerText), filling: slices.Repeat([]*KeysetFullError{full}, maxFilling)}
	if n := len(a.append(nil)); n > maxAnswer {
		t.Errorf("%d bytes", n)
	}
	if got, err := parseAnswer(answerOf(errors.New("")).append(nil)); err != nil || got.err(request{}) == nil {
		t.Error("an error without a text: ", err)
	}
}

// TestAskThroughLinks shows that a client reaches the writer by every path of the store.
func TestAskThroughLinks(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	serving(t, s)
	file, folder := filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "folder")
	if err := errors.Join(os.Symlink(path, file), os.Symlink(filepath.Dir(path), folder)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(folder, filepath.Base(path))} {
		if err := newClient(t, path).Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestAnotherUser shows that another user's process is refused, whatever the socket's mode.
func TestAnotherUser(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	serving(t, s, func(w *controlServer) {
		w.socket.Peer = func(*net.UnixConn) error { return socket.Allowed(uint32(os.Geteuid() + 1)) }
	})
	if _, err := OpenClient(t.Context(), path, passphrase); !errors.Is(err, ErrWriterBusy) {
		t.Error(err)
	}
}

// TestAKilledWriter kills a writer after it has made a change and before it answers. The next writer
// replaces the socket that it leaves.
func TestAKilledWriter(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	generation := s.contents.generation
	s.Close()
	w := writer(t, path, writerStep+"=serve", writerPoint+"=directory synced")
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	awaitSocket(t, s)
	err := newClient(t, path).Renew(t.Context())
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "look at the store before you try again") {
		t.Error(err)
	}
	w.Wait()
	if _, err := os.Lstat(socket.Path(s.path)); err != nil {
		t.Fatal("the socket is gone: ", err)
	}
	again, err := Open(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.contents.generation != generation+1 {
		t.Error("it was not done")
	}
	serving(t, again)
	if err := newClient(t, path).Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestALateRequestIsNotBegun sends a request after its time is over, or after the writer has ended, as a
// client does that was suspended: nothing is changed.
func TestALateRequestIsNotBegun(t *testing.T) {
	cheap(t)
	for _, ended := range []bool{false, true} {
		s, path := newStore(t)
		stop := serving(t, s, func(w *controlServer) {
			if !ended {
				w.late = func(time.Time) bool { return true }
			}
		})
		c := newClient(t, path)
		generation := s.contents.generation
		held, free := make(chan struct{}), make(chan struct{})
		c.tap = func(conn net.Conn) net.Conn { return &stopped{Conn: conn, held: held, free: free} }
		done := make(chan error)
		go func() { done <- c.Renew(context.Background()) }()
		<-held
		if ended {
			stop() // does not wait for incomplete requests
		}
		close(free)
		if err := <-done; !errors.Is(err, ErrWriterBusy) || errors.Is(err, ErrNoAnswer) || s.contents.generation != generation {
			t.Error(err)
		}
	}
}

// stopped delays the second frame.
type stopped struct {
	net.Conn
	frames     int
	held, free chan struct{}
}

func (s *stopped) Write(b []byte) (int, error) {
	if s.frames++; s.frames == 2 {
		close(s.held)
		<-s.free
	}
	return s.Conn.Write(b)
}

func FuzzControl(f *testing.F) {
	policy := DefaultRotation
	policy.Follow = []string{"orders"}
	for _, q := range []request{
		{op: opAdmit, want: trust.Expected{Address: "a", Role: trust.RoleServer, Fingerprint: keys.Fingerprint{1}}, data: []byte{1}},
		{op: opForget, want: trust.Expected{Room: "r", Role: trust.RoleMember}, root: keys.Fingerprint{1}}, {op: opRevoked, data: []byte{1}},
		{op: opSucceed, data: []byte{1}}, {op: opRotate}, {op: opRotate, policy: &policy}, {op: opAdd, ref: KeyRef{Use: keys.UseSigning}},
		{op: opReplace, ref: KeyRef{Use: keys.UseSealing}}, {op: opPromote, ref: KeyRef{Use: keys.UseShared, Keyset: "orders", TinkID: 7}},
		{op: opDisable, ref: KeyRef{Use: keys.UseSigning}}, {op: opDestroy, ref: KeyRef{Use: keys.UseSigning}}, {op: opRenew}, {op: opRevoke},
		{op: opPut, ref: KeyRef{Keyset: "orders"}, data: []byte{1}}, {op: opUpdate, ref: KeyRef{Keyset: "orders"}, data: []byte{1}},
	} {
		if !q.fits() {
			f.Fatalf("%+v does not fit", q)
		}
		f.Add(q.append(nil))
	}
	f.Add(answer{code: 1, text: "no", key: 7, next: time.Unix(1, 0), filling: []*KeysetFullError{{KeyRef{Use: keys.UseSealing}, time.Unix(2, 0)}}}.append(nil))
	f.Add(answer{}.append(nil))
	f.Add(appendHello(nil, make([]byte, nonceSize)))
	f.Add(appendHi(nil, make([]byte, nonceSize), make([]byte, proofSize)))
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(again []byte) {
			if !bytes.Equal(again, b) {
				t.Errorf("%x is written %x", b, again)
			}
		}
		if q, err := parseRequest(b); err == nil {
			same(q.append(nil))
		}
		if a, err := parseAnswer(b); err == nil {
			same(a.append(nil))
			_ = a.err(request{})
		}
		if client, err := parseHello(b); err == nil {
			same(appendHello(nil, client))
		}
		if writer, proof, err := parseHi(b); err == nil {
			same(appendHi(nil, writer, proof))
		}
	})
}
