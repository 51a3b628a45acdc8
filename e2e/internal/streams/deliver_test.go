package streams_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/internal/engine"
)

// raw is a message as a hostile peer makes it.
type raw struct {
	kind    engine.Kind
	answers uint64
	body    []byte
}

const (
	open   = engine.KindStreamOpen
	piece  = engine.KindStreamPiece
	finish = engine.KindStreamEnd
	abort  = engine.KindStreamAbort
	cancel = engine.KindStreamCancel
	credit = engine.KindStreamCredit
	done   = engine.KindStreamDone
)

// Messages that no honest peer sends are refused.
func TestStreamsOfAHostilePeer(t *testing.T) {
	opens := func(n int) (all []raw) {
		for range n {
			all = append(all, raw{kind: open})
		}
		return all
	}
	endsOf := func(n uint64) (all []raw) { // nobody has accepted them yet
		for i := range n {
			all = append(all, raw{kind: open}, raw{finish, 2*i + 1, u64(0)})
		}
		return all
	}
	for name, messages := range map[string][]raw{
		"a piece of no stream":              {{piece, 1, []byte("x")}},
		"a piece of itself":                 {{open, 0, nil}, {piece, 2, []byte("x")}},
		"an end of no stream":               {{finish, 1, make([]byte, 8)}},
		"an abort of no stream":             {{abort, 1, nil}},
		"an empty piece":                    {{open, 0, nil}, {piece, 1, nil}},
		"a piece behind the end":            {{open, 0, nil}, {finish, 1, make([]byte, 8)}, {piece, 1, []byte("x")}},
		"a second end":                      {{open, 0, nil}, {finish, 1, make([]byte, 8)}, {finish, 1, make([]byte, 8)}},
		"an abort behind the end":           {{open, 0, nil}, {finish, 1, make([]byte, 8)}, {abort, 1, nil}},
		"an end of another size":            {{open, 0, nil}, {finish, 1, make([]byte, 7)}},
		"an end that misses a byte":         {{open, 0, nil}, {piece, 1, []byte("x")}, {finish, 1, make([]byte, 8)}},
		"an end of more than there was":     {{open, 0, nil}, {finish, 1, []byte{0, 0, 0, 0, 0, 0, 0, 1}}},
		"an abort with words":               {{open, 0, nil}, {abort, 1, []byte("x")}},
		"too much ahead of it":              {{open, 0, make([]byte, streams.MaxMetadata+1)}},
		"one too many":                      opens(streams.Max + 1),
		"one too many, and all are ended":   append(endsOf(streams.Max), raw{kind: open}),
		"a piece beyond the credit":         {{open, 0, nil}, {piece, 1, make([]byte, firstCredit)}, {piece, 1, []byte("x")}},
		"one that is larger":                {{open, 0, nil}, {piece, 1, make([]byte, firstCredit+1)}},
		"a credit for no stream":            {{credit, 1, u64(32 << 10)}},
		"a done of no stream":               {{done, 1, nil}},
		"a cancel of what was never sent":   {{cancel, 1, nil}},
		"a cancel of what was not a stream": {{cancel, 0, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			hostile, e := joinHostile(t)
			for i, m := range messages {
				if i == len(messages)-1 {
					hostile.flush()
					wantGoesOn(t, e)
				}
				hostile.raw(m.kind, m.answers, m.body)
			}
			<-e.Done()
			wantMisbehaved(t, e)
			for err := error(nil); err == nil; { // the streams before may be accepted, and are over
				_, err = e.Accept(t.Context())
			}
		})
	}
}

// What no honest reader says of a stream is refused, and what one may say is not.
func TestStreamsOfAHostileReader(t *testing.T) {
	const sent = 16 << 10 // of stream 1, so that four credits may come
	credits := func(totals ...uint64) (all []raw) {
		for _, n := range totals {
			all = append(all, raw{credit, 1, u64(n)})
		}
		return all
	}
	doneWith1 := raw{done, 1, nil}
	for name, c := range map[string]struct {
		says  []raw
		ended bool // the stream, before that
		fine  bool
	}{
		"four credits":                {says: credits(20<<10, 24<<10, 28<<10, 1<<30), fine: true},
		"a credit behind the end":     {says: append(credits(20<<10), doneWith1), ended: true, fine: true},
		"a cancel behind the end":     {says: []raw{{cancel, 1, nil}}, ended: true, fine: true},
		"a second cancel":             {says: []raw{{cancel, 1, nil}, {cancel, 1, nil}}, ended: true},
		"the same credit again":       {says: credits(32<<10, 32<<10)},
		"credit that falls":           {says: credits(32<<10, 28<<10)},
		"less than there was":         {says: credits(0)},
		"a little more":               {says: credits(20<<10 - 1)},
		"more than there can be":      {says: credits(1<<30 + 16<<10 + 1)},
		"all that there is":           {says: credits(1<<64 - 1)},
		"one too many":                {says: credits(20<<10, 24<<10, 28<<10, 32<<10, 36<<10)},
		"of another size":             {says: []raw{{credit, 1, make([]byte, 7)}}},
		"of message 0":                {says: []raw{{credit, 0, u64(32 << 10)}}},
		"of what was never sent":      {says: []raw{{credit, 99, u64(32 << 10)}}},
		"done before the end":         {says: []raw{doneWith1}},
		"done twice":                  {says: []raw{doneWith1, doneWith1}, ended: true},
		"done with words":             {says: []raw{{done, 1, []byte("x")}}, ended: true},
		"a credit behind done":        {says: append([]raw{doneWith1}, credits(20<<10, 24<<10, 28<<10, 32<<10, 36<<10)...), ended: true},
		"done of another message":     {says: []raw{{done, 2, nil}}, ended: true},
		"credit for a stream aborted": {says: credits(20<<10, 20<<10, 20<<10, 20<<10, 20<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hostile, e := joinHostile(t)
				w := mustOpen(t, e)
				if _, err := w.Write(make([]byte, sent)); err != nil {
					t.Fatal(err)
				}
				if name == "credit for a stream aborted" {
					w.Abort()
				}
				if c.ended {
					mustFinish(t, w)
				}
				synctest.Wait()
				for i, m := range c.says {
					if i == len(c.says)-1 {
						wantGoesOn(t, e)
					}
					hostile.raw(m.kind, m.answers, m.body)
					synctest.Wait()
				}
				if c.fine {
					wantGoesOn(t, e)
				} else {
					wantMisbehaved(t, e)
				}
			})
		})
	}
}

// What comes of a stream that was given up is dropped, and bounded by its credit all the same.
func TestA34PiecesOfAStreamThatWasGivenUp(t *testing.T) {
	hostile, e := joinHostile(t)
	hostile.raw(open, 0, nil)
	mustAccept(t, e).Close()
	hostile.raw(piece, 1, make([]byte, firstCredit))
	hostile.flush()
	wantGoesOn(t, e)
	hostile.raw(piece, 1, []byte("x"))
	<-e.Done()
	wantMisbehaved(t, e)
}

// A34: a peer that opens streams without end, and takes no message that they are not wanted, has
// little kept for it.
func TestA34StreamsWithoutTakingCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hostile, e := joinHostile(t)
		e.sending <- struct{}{}
		before := runtime.NumGoroutine()
		for n := range uint64(300) {
			hostile.raw(open, 0, nil)
			mustAccept(t, e).Close()
			hostile.raw(abort, 2*n+1, nil)
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 1 {
			t.Errorf("%d goroutines wait to say that streams are not wanted", more)
		}
		<-e.sending
		mustPass(t, hostile, e, 1000)
	})
}

// A stored end refuses a stream before it acknowledges what opened it, so that its sender never
// takes it for one that has arrived. Messages of streams from before a restart are let pass.
func TestA52AStoredEndRefusesStreams(t *testing.T) {
	near, far := join(t)
	far.stored = true
	for _, kind := range []engine.Kind{piece, finish, abort} {
		near.raw(kind, 1000, make([]byte, 8))
	}
	for n := range 200 {
		w := mustOpen(t, near)
		w.Write(make([]byte, n%3))
		wantGivenUp(t, w.Finish(), true)
	}
	near.flush()
	wantGoesOn(t, far)
}

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
