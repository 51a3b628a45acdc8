package e2e_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// What no honest end sends ends the session.
func TestStreamsOfAHostilePeer(t *testing.T) {
	const open, piece, end, abort, cancel, credit, done = 4, 5, 6, 7, 8, 9, 10
	type raw struct {
		kind    byte
		answers uint64
		body    []byte
	}
	opens := func(n int) (all []raw) {
		for range n {
			all = append(all, raw{kind: open})
		}
		return all
	}
	endsOf := func(n uint64) (all []raw) { // nobody has accepted them yet
		for i := range n {
			all = append(all, raw{kind: open}, raw{end, 2*i + 1, u64(0)})
		}
		return all
	}
	for name, messages := range map[string][]raw{
		"a piece of no stream":              {{piece, 1, []byte("x")}},
		"a piece of itself":                 {{open, 0, nil}, {piece, 2, []byte("x")}},
		"an end of no stream":               {{end, 1, make([]byte, 8)}},
		"an abort of no stream":             {{abort, 1, nil}},
		"an empty piece":                    {{open, 0, nil}, {piece, 1, nil}},
		"a piece behind the end":            {{open, 0, nil}, {end, 1, make([]byte, 8)}, {piece, 1, []byte("x")}},
		"a second end":                      {{open, 0, nil}, {end, 1, make([]byte, 8)}, {end, 1, make([]byte, 8)}},
		"an end of another size":            {{open, 0, nil}, {end, 1, make([]byte, 7)}},
		"an end that misses a byte":         {{open, 0, nil}, {piece, 1, []byte("x")}, {end, 1, make([]byte, 8)}},
		"an end of more than there was":     {{open, 0, nil}, {end, 1, []byte{0, 0, 0, 0, 0, 0, 0, 1}}},
		"an abort with words":               {{open, 0, nil}, {abort, 1, []byte("x")}},
		"too much ahead of it":              {{open, 0, make([]byte, e2e.MaxStreamMetadata+1)}},
		"one too many":                      opens(e2e.MaxStreams + 1),
		"one too many, and all are ended":   endsOf(e2e.MaxStreams + 1),
		"a piece beyond the credit":         {{open, 0, nil}, {piece, 1, make([]byte, 16<<10)}, {piece, 1, []byte("x")}},
		"one that is larger":                {{open, 0, nil}, {piece, 1, make([]byte, 16<<10+1)}},
		"a credit for no stream":            {{credit, 1, u64(32 << 10)}},
		"a done of no stream":               {{done, 1, nil}},
		"a cancel of what was never sent":   {{cancel, 1, nil}},
		"a cancel of what was not a stream": {{cancel, 0, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := over(t)
				for _, m := range messages {
					header := engine.Header{Kind: engine.Kind(m.kind), Answers: m.answers}
					if err := e2e.SendRaw(c, append(header.Append(nil), m.body...)); err != nil {
						mustEnd(t, s) // before the last of them was sent
					}
				}
				synctest.Wait()
				time.Sleep(time.Second) // until the session reads by itself
				mustEnd(t, s)
				for err := error(nil); err == nil; { // the streams before may be accepted, and are over
					_, err = s.ReceiveStream(t.Context())
				}
				wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
			})
		})
	}
}

// What no honest reader says of a stream ends the session, and what one may say does not.
func TestStreamsOfAHostileReader(t *testing.T) {
	const sent = 16 << 10 // of stream 1, so that four credits may come
	type raw struct {
		kind    engine.Kind
		answers uint64
		body    []byte
	}
	credit := func(totals ...uint64) (all []raw) {
		for _, n := range totals {
			all = append(all, raw{engine.KindStreamCredit, 1, u64(n)})
		}
		return all
	}
	done := raw{engine.KindStreamDone, 1, nil}
	for name, c := range map[string]struct {
		says  []raw
		ended bool // the stream, before that
		fine  bool
	}{
		"four credits":                {says: credit(20<<10, 24<<10, 28<<10, 1<<30), fine: true},
		"a credit behind the end":     {says: append(credit(20<<10), done), ended: true, fine: true},
		"a cancel behind the end":     {says: []raw{{engine.KindStreamCancel, 1, nil}}, ended: true, fine: true},
		"the same credit again":       {says: credit(32<<10, 32<<10)},
		"credit that falls":           {says: credit(32<<10, 28<<10)},
		"less than there was":         {says: credit(0)},
		"a little more":               {says: credit(20<<10 - 1)},
		"more than there can be":      {says: credit(1<<30 + 16<<10 + 1)},
		"all that there is":           {says: credit(1<<64 - 1)},
		"one too many":                {says: credit(20<<10, 24<<10, 28<<10, 32<<10, 36<<10)},
		"of another size":             {says: []raw{{engine.KindStreamCredit, 1, make([]byte, 7)}}},
		"of message 0":                {says: []raw{{engine.KindStreamCredit, 0, u64(32 << 10)}}},
		"of what was never sent":      {says: []raw{{engine.KindStreamCredit, 99, u64(32 << 10)}}},
		"done before the end":         {says: []raw{done}},
		"done twice":                  {says: []raw{done, done}, ended: true},
		"done with words":             {says: []raw{{engine.KindStreamDone, 1, []byte("x")}}, ended: true},
		"a credit behind done":        {says: append([]raw{done}, credit(20<<10, 24<<10, 28<<10, 32<<10, 36<<10)...), ended: true},
		"done of another message":     {says: []raw{{engine.KindStreamDone, 2, nil}}, ended: true},
		"credit for a stream aborted": {says: credit(20<<10, 20<<10, 20<<10, 20<<10, 20<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hostile, s := over(t)
				w := mustOpenStream(t, s)
				if _, err := w.Write(make([]byte, sent)); err != nil {
					t.Fatal(err)
				}
				if name == "credit for a stream aborted" {
					w.Abort()
				}
				if c.ended {
					if err := w.Finish(); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				for _, m := range c.says {
					mustSendRaw(t, hostile, engine.Header{Kind: m.kind, Answers: m.answers}, m.body)
				}
				time.Sleep(time.Second)
				if c.fine {
					mustSend(t, hostile, "still here")
					mustReceive(t, s, "still here")
					return
				}
				mustEnd(t, s)
				wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
			})
		})
	}
}

// What comes of a stream that was given up is dropped, and bounded by its credit all the same.
func TestA34PiecesOfAStreamThatWasGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hostile, s := over(t)
		mustSendRaw(t, hostile, engine.Header{Kind: engine.KindStreamOpen}, nil)
		mustReceiveStream(t, s).Close()
		piece := engine.Header{Kind: engine.KindStreamPiece, Answers: 1}
		mustSendRaw(t, hostile, piece, make([]byte, 16<<10))
		mustSend(t, hostile, "still here")
		mustReceive(t, s, "still here")
		mustSendRaw(t, hostile, piece, []byte("x"))
		mustEnd(t, s)
		wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
	})
}

// A34: who opens streams without end, and takes none of the words that they are not wanted,
// has little kept for it.
func TestA34StreamsWithoutTakingCancels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := transport.Pipe()
		c, s := establish(t, a, b)
		e2e.HoldSends(s, func() {
			before := runtime.NumGoroutine()
			for n := range uint64(300) {
				mustSendRaw(t, c, engine.Header{Kind: engine.KindStreamOpen}, nil)
				mustReceiveStream(t, s).Close()
				mustSendRaw(t, c, engine.Header{Kind: engine.KindStreamAbort, Answers: 2*n + 1}, nil)
			}
			synctest.Wait()
			if more := runtime.NumGoroutine() - before; more > 10 {
				t.Errorf("%d goroutines wait to say that streams are not wanted", more)
			}
		})
		mustSend(t, c, "still here")
		mustReceive(t, s, "still here")
	})
}

func mustSendRaw(t testing.TB, s *e2e.Session, h engine.Header, body []byte) {
	t.Helper()
	if err := e2e.SendRaw(s, append(h.Append(nil), body...)); err != nil {
		t.Fatal(err)
	}
}

// mustEnd fails unless a session ends within a minute.
func mustEnd(t testing.TB, s *e2e.Session) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		t.Fatal("the session goes on")
	}
}

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
