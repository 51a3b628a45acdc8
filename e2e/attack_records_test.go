//go:build !js

package e2e_test

import (
	"bytes"
	"context"
	"crypto/mlkem"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/flynn/noise"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// rawDial connects to a server as somebody who keeps to no protocol above WebSocket.
func rawDial(t testing.TB, url string) transport.Conn {
	t.Helper()
	conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development, MaxMessage: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return conn
}

// firstMessage is m1 as e2e would send it.
func firstMessage(t testing.TB, protocol string) []byte {
	t.Helper()
	h, err := engine.NewClient(engine.Config{Identity: alice.Public(), Protocol: protocol}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	step, err := h.Start(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return step.Frame
}

// firstMessageOf is m1 under any prologue, made with Noise alone.
func firstMessageOf(t testing.TB, prologue string) []byte {
	t.Helper()
	secret, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:     noise.HandshakeNN, PresharedKeyPlacement: 2, Initiator: true, Prologue: []byte(prologue),
	})
	if err != nil {
		t.Fatal(err)
	}
	m1, _, _, err := state.WriteMessage(nil, secret.EncapsulationKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m1
}

// The prologue of docs/protocol-session.md.
const goodPrologue = "hopseal/1 session prologue\x00" + "\x07session"

// answer is what a server does about a first frame.
type answer struct {
	frame  []byte // that it sends, nil: none
	closed *transport.CloseError
}

func ask(t testing.TB, url string, first []byte) (a answer) {
	t.Helper()
	conn := rawDial(t, url)
	if err := conn.Write(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := conn.Read(t.Context(), nil)
		if err != nil {
			if !errors.As(err, &a.closed) {
				t.Fatal(err)
			}
			return a
		}
		if a.frame != nil {
			t.Fatalf("a second frame, of %d bytes", len(frame))
		}
		a.frame = frame
		if len(first) != r1Size { // not a refusal: the server waits
			conn.Close(transport.CodeNormal, "")
		}
	}
}

// A33, A37: whatever a stranger begins with, the answer is always the same: the
// connection is closed, with one code and no words. For what looks like a resume it is
// the refusal first, of one size. The error at the server is typed, and has one text.
func TestA37BadFirstFramesOverSockets(t *testing.T) {
	reports := make(chan error, 100)
	url := listen(t, reporting(newServer(t, hosting(bob, alice), echo), reports))
	if good := ask(t, url, firstMessageOf(t, goodPrologue)); len(good.frame) < 1136 {
		t.Fatalf("what these are made from is refused: %d bytes, %v", len(good.frame), good.closed)
	}
	m1 := firstMessage(t, "test/1")
	m2 := ask(t, url, m1).frame
	changed := func(at int) []byte {
		bad := bytes.Clone(m1)
		bad[at] ^= 0x10
		return bad
	}
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b)
		return b
	}
	frames := map[string][]byte{
		"nothing":                  {},
		"one byte":                 {1},
		"zeros":                    make([]byte, len(m1)),
		"garbage":                  random(len(m1)),
		"less of it":               m1[:len(m1)-1],
		"more of it":               append(bytes.Clone(m1), 0),
		"twice it":                 append(bytes.Clone(m1), m1...),
		"a changed share":          changed(0),
		"a changed key":            changed(100),
		"a changed tag":            changed(len(m1) - 1),
		"an older version":         firstMessageOf(t, "hopseal/0"+goodPrologue[len("hopseal/0"):]),
		"a later version":          firstMessageOf(t, "hopseal/2"+goodPrologue[len("hopseal/2"):]),
		"another purpose":          firstMessageOf(t, "hopseal/1 session prologue\x00\x06resume\x06test/1\x00"),
		"a prologue with more":     firstMessageOf(t, goodPrologue+"\x06test/1\x00"),
		"no prologue":              firstMessageOf(t, ""),
		"the server's own message": m2,
		"a record":                 append([]byte{1}, random(80)...),
		"as much as may be":        random(engine.MaxFirstFrame),
		"an r1 of zeros":           make([]byte, r1Size),
		"a TLS handshake":          []byte("\x16\x03\x01\x00\x05hello"),
	}
	for name, frame := range frames {
		if a := ask(t, url, frame); a.frame != nil || a.closed.Code != transport.CodePolicy || a.closed.Reason != "" {
			t.Errorf("%s: answered with %d bytes, %v", name, len(a.frame), a.closed)
		}
	}
	sizes := map[int]bool{}
	for range 3 { // resumes of sessions that there are not
		a := ask(t, url, random(r1Size))
		sizes[len(a.frame)] = true
		if len(a.frame) == 0 || len(sizes) > 1 || a.frame[0] != 0 || a.closed.Code != transport.CodePolicy || a.closed.Reason != "" {
			t.Errorf("an unknown session: answered with %x, %v", a.frame, a.closed)
		}
	}
	texts, reasons := map[string]int{}, map[e2e.Reason]int{}
	for range 2 + len(frames) + 3 { // the two that it took are lost
		err := <-reports
		var failed *e2e.HandshakeError
		if !errors.As(err, &failed) {
			t.Errorf("reported %T: %v", err, err)
			continue
		}
		reasons[failed.Reason]++
		if failed.Reason == e2e.ReasonNotAuthentic {
			texts[err.Error()]++
		}
	}
	if len(texts) != 1 || reasons[e2e.ReasonNotAuthentic] != len(frames) || reasons[e2e.ReasonUnknownSession] != 3 {
		t.Errorf("reported %v, in the words %v", reasons, texts)
	}
}

// A rogue is an end that has proved who it is, and then does not keep to the protocol.
type rogue struct {
	transport.Conn
	link    *engine.Link
	session *engine.Session
}

func newRogue(t testing.TB, url string, me *keys.Identity) *rogue {
	t.Helper()
	r, err := rogueOver(t, rawDial(t, url), me, engine.DefaultWindow)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rogueOver is newRogue over any connection and with any window.
func rogueOver(t testing.TB, conn transport.Conn, me *keys.Identity, window int) (*rogue, error) {
	t.Helper()
	h, err := engine.NewClient(engine.Config{
		Identity: me.Public(), Protocol: "test/1", KeepAlive: -1, Window: window, MaxMessage: e2e.DefaultMaxMessage + engine.MaxHeader,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	step, err := h.Start(time.Now())
	for err == nil && step.Next != engine.Done {
		if step.Frame != nil {
			if err := conn.Write(t.Context(), step.Frame); err != nil {
				return nil, err
			}
		}
		switch step.Next {
		case engine.Read:
			var frame []byte
			if frame, err = conn.Read(t.Context(), nil); err == nil {
				step, err = h.Receive(time.Now(), frame)
			}
		case engine.Sign:
			var signature []byte
			if signature, err = me.Signer().Sign(h.ToSign()); err == nil {
				step, err = h.Signed(time.Now(), signature)
			}
		default:
			step, err = h.Accept(time.Now())
		}
	}
	if err != nil {
		return nil, err
	}
	return &rogue{conn, h.Session().Link(), h.Session()}, nil
}

func (r *rogue) seal(t testing.TB, message string) []byte {
	return r.sealUnder(t, new(engine.Header).Append(nil), message)
}

// sealUnder seals a message with any header.
func (r *rogue) sealUnder(t testing.TB, header []byte, message string) []byte {
	t.Helper()
	frame, err := r.link.Seal(time.Now(), nil, header, []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// A15, A37: an end that has proved who it is and then sends what no end may ends its
// link. The server's function learns why by a typed error, the other end only that it
// is over.
func TestA37BadRecordsOverSockets(t *testing.T) {
	ends := make(chan error, 1)
	cfg := once(hosting(bob, alice))
	cfg.MaxMessage = 10_000
	srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
		for {
			if _, err := s.Receive(ctx); err != nil {
				ends <- err
				return err
			}
		}
	})
	url := listen(t, srv)
	head := func(b byte) func(r *rogue) []byte {
		return func(r *rogue) []byte {
			frame := r.seal(t, "hello")
			frame[0] = b
			return frame
		}
	}
	flip := func(at int) func(r *rogue) []byte {
		return func(r *rogue) []byte {
			frame := r.seal(t, "hello")
			frame[(at+len(frame))%len(frame)] ^= 1
			return frame
		}
	}
	under := func(header ...byte) func(r *rogue) []byte {
		return func(r *rogue) []byte { return r.sealUnder(t, header, "") }
	}
	for name, test := range map[string]struct {
		frame func(r *rogue) []byte
		code  transport.Code
		err   error
	}{
		"nothing":           {func(*rogue) []byte { return nil }, transport.CodePolicy, e2e.ErrTampered},
		"garbage":           {func(*rogue) []byte { return make([]byte, 81) }, transport.CodePolicy, e2e.ErrTampered},
		"a handshake":       {func(*rogue) []byte { return firstMessage(t, "test/1") }, transport.CodePolicy, e2e.ErrTampered},
		"half a record":     {func(r *rogue) []byte { return r.seal(t, "hello")[:40] }, transport.CodePolicy, e2e.ErrTampered},
		"a record twice":    {func(r *rogue) []byte { f := r.seal(t, "hello"); r.Write(t.Context(), f); return f }, transport.CodePolicy, e2e.ErrTampered},
		"one left out":      {func(r *rogue) []byte { r.seal(t, "never sent"); return r.seal(t, "hello") }, transport.CodePolicy, e2e.ErrTampered},
		"a later epoch":     {head(1 | 1<<6), transport.CodePolicy, e2e.ErrTampered},
		"an earlier epoch":  {head(1 | 3<<6), transport.CodePolicy, e2e.ErrTampered},
		"an unknown type":   {head(31), transport.CodePolicy, e2e.ErrTampered},
		"type 0":            {head(0), transport.CodePolicy, e2e.ErrTampered},
		"an early last":     {head(1 | 1<<5), transport.CodePolicy, e2e.ErrTampered},
		"a changed body":    {flip(30), transport.CodePolicy, e2e.ErrTampered},
		"a changed tag":     {flip(-1), transport.CodePolicy, e2e.ErrTampered},
		"the largest frame": {func(*rogue) []byte { return make([]byte, e2e.MaxFrame(10_000)) }, transport.CodePolicy, e2e.ErrTampered},
		"one larger":        {func(*rogue) []byte { return make([]byte, e2e.MaxFrame(10_000)+1) }, transport.CodeTooLarge, e2e.ErrTruncated},
		"no header":         {under(), transport.CodePolicy, e2e.ErrMisbehaved},
		"half a header":     {under(0, 0, 0, 0), transport.CodePolicy, e2e.ErrMisbehaved},
		"an unknown kind":   {under(200, 0, 0, 0, 0, 0, 0, 0), transport.CodePolicy, e2e.ErrMisbehaved},
		"a type cut short":  {under(0, 0, 0, 0, 0, 0, 0, 9), transport.CodePolicy, e2e.ErrMisbehaved},
		"a type of no text": {under(0, 0, 0, 0, 0, 0, 0, 1, 0xff), transport.CodePolicy, e2e.ErrMisbehaved},
		"much larger":       {func(*rogue) []byte { return make([]byte, 16<<20) }, 0, e2e.ErrTruncated},
	} {
		r := newRogue(t, url, alice)
		frame := test.frame(r)
		heard := make(chan error, 1)
		go func() {
			var err error
			for err == nil { // acks may come first
				_, err = r.Read(context.Background(), nil)
			}
			heard <- err
		}()
		r.Write(t.Context(), frame) // which fails where the server hangs up first
		err := <-ends
		var closed *e2e.CloseError
		if !errors.As(err, &closed) || !errors.Is(err, test.err) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the server's end: %v, want %v", name, err, test.err)
		}
		// Above the limit the reason has the limit.
		var seen *transport.CloseError
		if err := <-heard; !errors.As(err, &seen) || test.code != 0 && (seen.Code != test.code || seen.Code == transport.CodePolicy && seen.Reason != "") {
			t.Errorf("%s: its sender sees %v, want %v", name, err, test.code)
		}
	}
}

// Text is no message, before or after a handshake.
func TestTextFramesAreRefused(t *testing.T) {
	url := listen(t, newServer(t, hosting(bob, alice), echo))
	conn, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, firstMessage(t, "test/1")); err != nil {
		t.Fatal(err)
	}
	if _, frame, err := conn.Read(t.Context()); err == nil || websocket.CloseStatus(err) == -1 {
		t.Errorf("%d bytes, %v", len(frame), err)
	}
}

// A33: peers who stop half-way, at any step, hold a place until the deadline and nothing
// after it, although they stay connected.
func TestA33PeersWhoStopOverSockets(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.HandshakeTimeout = 300 * time.Millisecond
	srv := newServer(t, cfg, echo)
	url := listen(t, srv)
	const each = 4
	stopped := 0
	for range each {
		rawDial(t, url) // says nothing
		conn := rawDial(t, url)
		if err := conn.Write(t.Context(), firstMessage(t, "test/1")); err != nil { // and no m3
			t.Fatal(err)
		}
		stopped += 2
	}
	c := mustDial(t, url)
	mustSend(t, c, "an honest one")
	mustReceive(t, c, "an honest one")
	greeted := func() map[string]uint64 { return srv.Stats().Greeted }
	for deadline := time.Now().Add(10 * time.Second); greeted()["timeout"] < uint64(stopped) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if got, want := nonzero(greeted()), fmt.Sprintf("map[established:1 timeout:%d]", stopped); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

// A33, A34: floods over many connections at once, of first messages, of resumes and of
// garbage, keep memory flat; an honest client gets in meanwhile, and its session goes on.
func TestA33FloodsOverSockets(t *testing.T) {
	floods := 400
	if longTests() {
		floods = 20_000
	}
	srv := newServer(t, hosting(bob, alice), echo)
	url := listen(t, srv)
	early := mustDial(t, url)
	m1 := firstMessage(t, "test/1")
	before := inUse()
	var flooding sync.WaitGroup
	for worker := range 8 {
		flooding.Go(func() {
			for i := range floods / 8 {
				conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development})
				if err != nil {
					t.Error(err)
					return
				}
				frame := [][]byte{m1, make([]byte, 80), make([]byte, 1000), nil}[(worker+i)%4]
				if frame != nil {
					conn.Write(t.Context(), frame)
				}
				if i%8 != 0 {
					conn.Close(transport.CodeNormal, "")
					continue
				}
				t.Cleanup(func() { conn.Close(transport.CodeNormal, "") }) // this one stays
			}
		})
	}
	for range 3 {
		mustSend(t, early, "still there")
		mustReceive(t, early, "still there")
		late := eventually(t, url)
		mustSend(t, late, "hello")
		mustReceive(t, late, "hello")
		late.Close()
	}
	flooding.Wait()
	if grown := inUse() - before; grown > 8<<20 {
		t.Errorf("%d connections left %d bytes", floods, grown)
	}
}

// eventually dials as an honest client does under a flood: again, if it was pushed out.
func eventually(t testing.TB, url string) *e2e.Session {
	t.Helper()
	for range 20 {
		c, err := e2e.Dial(t.Context(), url, trusting(alice, bob))
		if err == nil {
			return c
		}
		var failed interface{ Permanent() bool }
		if !errors.As(err, &failed) || failed.Permanent() {
			t.Fatal(err)
		}
	}
	t.Fatal("an honest client does not get in")
	return nil
}

// A34: requests need no credit. An end that sends nothing but those, and acknowledges none
// of the answers, is cut off or answered with memory flat, whether or not anybody serves
// them.
func TestA34FloodOfRequests(t *testing.T) {
	requests := 3_000
	if longTests() {
		requests = 300_000
	}
	for name, handle := range map[string]func(context.Context, *e2e.Session) error{
		"nobody serves": func(ctx context.Context, s *e2e.Session) error { <-ctx.Done(); return nil },
		"nobody answers": serveWith(func(ctx context.Context, _ *e2e.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"all are refused": serveWith(nil),
		"all are answered": serveWith(func(_ context.Context, r *e2e.Request) ([]byte, error) {
			return make([]byte, 10_000), nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := once(hosting(bob, alice))
			cfg.Window = engine.MinWindow
			r := newRogue(t, listen(t, newServer(t, cfg, handle)), alice)
			before := inUse()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for frame := []byte(nil); ; {
					var err error
					if frame, err = r.Read(context.Background(), frame[:0]); err == nil {
						_, _, err = r.link.Open(time.Now(), nil, frame) // acks let go of what it keeps itself
					}
					if err != nil {
						return
					}
				}
			}()
			header := (&engine.Header{Kind: engine.KindRequest, Type: "flood"}).Append(nil)
			body := make([]byte, 10_000)
			sent := 0
			for ; sent < requests; sent++ {
				frame, err := r.link.Seal(time.Now(), nil, header, body)
				if err == nil {
					err = r.Write(t.Context(), frame)
				}
				if err != nil {
					break
				}
			}
			grown := inUse() - before
			t.Logf("%d requests; %d bytes more in use", sent, grown)
			if grown > 12<<20 {
				t.Errorf("%d requests took %d bytes", sent, grown)
			}
			r.Close(transport.CodeNormal, "")
			<-ended
		})
	}
}

// A34: who opens streams that nobody wants, and acknowledges nothing of what is said to that,
// has little kept for it.
func TestA34FloodOfStreamsThatAreCancelled(t *testing.T) {
	cancelled := make(chan struct{})
	cfg := once(hosting(bob, alice))
	cfg.Window = engine.MinWindow
	r := newRogue(t, listen(t, newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
		for {
			stream, err := s.ReceiveStream(ctx)
			if err != nil {
				return err
			}
			stream.Close()
			select {
			case cancelled <- struct{}{}:
			case <-s.Done():
			}
		}
	})), alice)
	read, over := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(over)
		for {
			frame, err := r.Read(context.Background(), nil)
			if err == nil {
				_, _, err = r.link.Open(time.Now(), nil, frame) // of credit
			}
			if err != nil {
				return
			}
			select {
			case read <- struct{}{}:
			default:
			}
		}
	}()
	send := func(h engine.Header) bool {
		for {
			frame, err := r.link.Seal(time.Now(), nil, h.Append(nil), nil)
			if err == nil {
				return r.Write(t.Context(), frame) == nil
			}
			select {
			case <-read: // and then again
			case <-over:
				return false
			}
		}
	}
	going, before := true, runtime.NumGoroutine()
	for n := uint64(0); going && n < 10_000; n++ {
		going = send(engine.Header{Kind: engine.KindStreamOpen})
		select {
		case <-cancelled:
		case <-over:
		}
		going = going && send(engine.Header{Kind: engine.KindStreamAbort, Answers: 2*n + 1})
	}
	if more := runtime.NumGoroutine() - before; !going || more > 10 {
		t.Errorf("going on: %v, with %d goroutines for words that nobody takes", going, more)
	}
	r.Close(transport.CodeNormal, "")
	<-over
}

// serveWith serves requests of one type by a function, or of none.
func serveWith(f func(context.Context, *e2e.Request) ([]byte, error)) func(context.Context, *e2e.Session) error {
	router := mux.New()
	if f != nil {
		router.Handle("flood", f)
	}
	return router.Serve
}

// Whatever a server answers with, its client ends in time with a typed error and having
// allocated little.
func TestA33BadServersOverSockets(t *testing.T) {
	answers := func(frame func(m1 []byte) []byte) func(context.Context, transport.Conn) {
		return func(ctx context.Context, conn transport.Conn) {
			m1, err := conn.Read(ctx, nil)
			if err == nil {
				conn.Write(ctx, frame(m1)) // the client may hang up meanwhile
				conn.Read(ctx, nil)
			}
		}
	}
	garbage := func(n int) func(context.Context, transport.Conn) {
		return answers(func([]byte) []byte { return make([]byte, n) })
	}
	for name, test := range map[string]struct {
		serve  func(context.Context, transport.Conn)
		reason e2e.Reason
	}{
		"hangs up":         {func(context.Context, transport.Conn) {}, e2e.ReasonLost},
		"says nothing":     {func(ctx context.Context, conn transport.Conn) { conn.Read(ctx, nil); conn.Read(ctx, nil) }, e2e.ReasonTimeout},
		"an empty message": {garbage(0), e2e.ReasonNotAuthentic},
		"one byte":         {garbage(1), e2e.ReasonNotAuthentic},
		"zeros":            {garbage(2688), e2e.ReasonNotAuthentic},
		"the largest":      {garbage(engine.MaxHandshakeFrame), e2e.ReasonNotAuthentic},
		"one larger":       {garbage(engine.MaxHandshakeFrame + 1), 0},
		"much larger":      {garbage(64 << 20), 0},
		"the client's own": {answers(func(m1 []byte) []byte { return m1 }), e2e.ReasonNotAuthentic},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
			if err != nil {
				t.Error(err)
				return
			}
			test.serve(ctx, conn)
			conn.Close(transport.CodeNormal, "")
		}))
		cfg := trusting(alice, bob)
		cfg.HandshakeTimeout = 500 * time.Millisecond
		before := inUse()
		_, err := e2e.Dial(t.Context(), web.URL, cfg)
		failed := new(e2e.HandshakeError)
		reasons := []e2e.Reason{test.reason}
		if test.reason == 0 { // it hangs up, which may take longer than it has left
			reasons = []e2e.Reason{e2e.ReasonLost, e2e.ReasonTimeout}
		}
		if !errors.As(err, &failed) || !slices.Contains(reasons, failed.Reason) || failed.Permanent() {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		<-done
		web.Close()
		if grown := inUse() - before; grown > 4<<20 {
			t.Errorf("%s: %d bytes are left", name, grown)
		}
	}
}
