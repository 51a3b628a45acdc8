package lobby

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// comes is a connection from an address.
type comes struct {
	transport.Conn
	from string
}

func (c comes) Info() transport.Info { return transport.Info{Remote: c.from} }

// A hall is a lobby that a test looks at.
type hall struct {
	*testing.T
	*Lobby
	expected int
}

func aHall(t *testing.T, most, mostPerAddress int) *hall {
	l := New(Limits{Handshakes: most, PerAddress: mostPerAddress, Timeout: 10 * time.Second})
	l.scheduler.free = 1
	return &hall{T: t, Lobby: l}
}

// come lets a guest in, who has said nothing yet.
func (h *hall) come(from string) *Guest {
	h.Helper()
	_, conn := transport.Pipe()
	_, g, err := h.Enter(context.Background(), comes{conn, from}, h.expected)
	if err != nil {
		h.Fatal(err)
	}
	return g
}

// stranger is come for one who has asked for a session, and has to speak again.
func (h *hall) stranger(from string) *Guest {
	h.Helper()
	g := h.come(from)
	g.FrameCame()
	if err := g.WaitForSlot(context.Background(), 5*time.Second); err != nil {
		h.Fatal(err)
	}
	g.FrameExpected()
	return g
}

func (h *hall) out(g *Guest) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Is(g.evicted, ErrEvicted)
}

// A33: who has said nothing makes room for others, within his address where that has many.
func TestA33NewcomersMakeRoom(t *testing.T) {
	h := aHall(t, 6, 3)
	quiet := h.come("192.0.2.1:1000")
	var flood []*Guest
	for range 20 {
		flood = append(flood, h.come("192.0.2.2:1"))
	}
	if h.out(quiet) {
		t.Error("one address pushed out another")
	}
	for i, g := range flood {
		if h.out(g) != (i < 15) {
			t.Errorf("guest %d: out %v", i, h.out(g))
		}
	}
	for _, from := range []string{"192.0.2.3:1", "192.0.2.4:1"} {
		h.come(from)
	}
	if !h.out(quiet) || h.Len() != 6 {
		t.Errorf("%d guests; the first is still there: %v", h.Len(), !h.out(quiet))
	}
}

// There is room for everybody whom the server waits for.
func TestRoomForThoseWhoAreExpected(t *testing.T) {
	h := aHall(t, 2, 2)
	h.expected = 100
	var all []*Guest
	for range 102 {
		all = append(all, h.come("192.0.2.1:1"))
	}
	for i, g := range all {
		if h.out(g) {
			t.Errorf("guest %d is out", i)
		}
	}
	if h.come("192.0.2.1:1"); !h.out(all[0]) {
		t.Error("there is room for one more")
	}
}

// Nobody who has spoken makes room for a newcomer: that one is told when to come back.
func TestWhoGetsOnIsNotTurnedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := aHall(t, 2, 2)
		var all []*Guest
		for range 2 {
			all = append(all, h.come(""))
			all[len(all)-1].FrameCame()
		}
		time.Sleep(time.Minute)
		a, conn := transport.Pipe()
		_, _, err := h.Enter(t.Context(), comes{conn, ""}, 0)
		busy := new(BusyError)
		if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) || busy.Wait < minWait || busy.Wait > maxWait {
			t.Fatalf("let in with %v", err)
		}
		HangUp(conn, transport.CodePolicy, err)
		_, err = a.Read(t.Context(), nil)
		if wait := transport.RetryAfter(err); wait.Round(time.Millisecond) != busy.Wait.Round(time.Millisecond) {
			t.Errorf("the client was told %v (%v), want %v", wait, err, busy.Wait)
		}
		for i, g := range all {
			if h.out(g) {
				t.Errorf("guest %d is out", i)
			}
			g.Leave()
		}
		h.come("")
	})
}

// A stranger keeps his place while he speaks in time, and for as long as nobody waits for it.
func TestStrangersLoseTheirPlacesToOthersOnlyWhenTheyStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := aHall(t, 2, 2)
		h.expected = 100
		first, second := h.stranger(""), h.stranger("")
		time.Sleep(5 * time.Second) // nobody waits
		if h.out(first) || h.out(second) {
			t.Fatal("turned out for nobody")
		}
		second.FrameCame() // and is computed for
		began := time.Now()
		third := h.stranger("") // at once, instead of the first
		if !h.out(first) || h.out(second) || time.Since(began) != 0 {
			t.Fatalf("out: %v, %v, after %v", h.out(first), h.out(second), time.Since(began))
		}
		patience := h.strangers.patience
		fourth := h.stranger("")
		if took := time.Since(began); !h.out(third) || took < patience || took > patience+minWatch {
			t.Errorf("the third is out: %v, after %v", h.out(third), took)
		}
		fifth := h.come("")
		fifth.FrameCame()
		time.AfterFunc(minPatience/2, func() { second.Leave() })
		if err := fifth.WaitForSlot(t.Context(), 5*time.Second); err != nil || h.out(fourth) {
			t.Errorf("%v; the fourth is out: %v", err, h.out(fourth))
		}
		fourth.FrameCame()
		sixth := h.come("")
		sixth.FrameCame()
		if err := sixth.WaitForSlot(t.Context(), 5*time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("a place in spite of those who are computed for: %v", err)
		}
	})
}

// The time for which a stranger may be silent follows those who are welcome, and is longer now
// and then, for honest ones who are slower.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := aHall(t, 2, 2)
		for _, test := range []struct{ takes, patience time.Duration }{
			{0, minPatience}, {200 * time.Millisecond, 400 * time.Millisecond}, {time.Hour, 2 * time.Second},
		} {
			g := h.stranger("")
			time.Sleep(test.takes)
			g.FrameCame()
			g.Authenticated()
			g.Leave()
			if got := h.Lobby.patience(); got != test.patience {
				t.Errorf("%v after somebody took %v, want %v", got, test.takes, test.patience)
			}
		}
		h.strangers.patience = minPatience
		for round := 1; round <= 128; round++ {
			want := minPatience
			for n := round; n%2 == 0; n /= 2 {
				want = min(2*want, 2*time.Second)
			}
			if got := h.Lobby.patience(); got != want {
				t.Errorf("%v in round %d, want %v", got, round, want)
			}
			h.strangers.stallers += 2
		}
	})
}

// Who finds no place waits in line, and is sent away for another one only from the head of the longest.
func TestLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := aHall(t, 4, 4)
		h.expected = 1000
		for range 4 {
			h.stranger("192.0.2.1:1").FrameCame() // and takes the server long
		}
		var mu sync.Mutex // guards sent
		sent := map[string]int{}
		sentAway := func() string {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprint(sent)
		}
		for _, from := range []string{"192.0.2.1:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.1:1", "192.0.2.1:1", "192.0.2.3:1"} {
			g := h.come(from)
			g.FrameCame()
			go func() {
				if err := g.WaitForSlot(t.Context(), time.Minute); errors.Is(err, ErrBusy) {
					mu.Lock()
					defer mu.Unlock()
					sent[from]++
				}
			}()
			synctest.Wait()
		}
		if got := sentAway(); got != "map[192.0.2.1:1:2]" {
			t.Errorf("sent away: %s", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if x := &h.strangers; x.queued != 0 || len(x.lines) != 0 || x.order.Len() != 0 || sentAway() != "map[192.0.2.1:1:4 192.0.2.2:1:1 192.0.2.3:1:1]" {
			t.Errorf("%d in %d lines; sent away: %v", x.queued, len(x.lines), sentAway())
		}
	})
}

// Addresses in line take turns, so that one with many does not hold up another.
func TestAddressesInLineTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := aHall(t, 4, 4)
		h.expected = 1000
		for range 4 {
			h.stranger("192.0.2.1:1")
		}
		var order []string
		for _, from := range []string{"192.0.2.1:1", "192.0.2.1:1", "192.0.2.1:1", "192.0.2.2:1"} {
			g := h.come(from)
			g.FrameCame()
			go func() {
				if g.WaitForSlot(t.Context(), time.Minute) == nil {
					order = append(order, from)
					g.FrameExpected()
				}
			}()
			synctest.Wait()
		}
		for range 4 {
			h.mu.Lock()
			h.evict(h.strangers.silent.longest())
			h.serveLines()
			h.mu.Unlock()
			synctest.Wait()
		}
		if got := fmt.Sprint(order); got != "[192.0.2.1:1 192.0.2.2:1 192.0.2.1:1 192.0.2.1:1]" {
			t.Errorf("served %s", got)
		}
	})
}

// A57: there are few attempts for a session at a time, also of somebody who has seen its first
// frames, and the honest one is among them.
func TestA57AttemptsForOneSessionAreFew(t *testing.T) {
	h := aHall(t, 100, 100)
	id := [32]byte{1}
	try := func(frame string) (*Guest, error) {
		g := h.come("")
		g.FrameCame()
		err := g.Return(id, []byte(frame))
		if err == nil {
			g.FrameExpected()
		} else {
			g.Leave()
		}
		return g, err
	}
	for range 2 {
		if _, err := try("seen"); err != nil {
			t.Fatal(err)
		}
	}
	honest, err := try("honest")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := try("seen"); !errors.Is(err, ErrBusy) {
			t.Fatalf("a repetition: %v", err)
		}
	}
	if h.out(honest) {
		t.Error("repetitions pushed the honest one out")
	}
	if _, err := try("held back"); err != nil || h.out(honest) {
		t.Errorf("an attempt that was held back: %v; the honest one is out: %v", err, h.out(honest))
	}
	another, err := try("another") // instead of a repetition
	if err != nil || h.out(honest) {
		t.Errorf("another attempt: %v; the honest one is out: %v", err, h.out(honest))
	}
	for range 100 {
		for _, frame := range []string{"seen", "honest", "held back", "another"} {
			if g, err := try(frame); !errors.Is(err, ErrBusy) || h.out(another) {
				t.Fatalf("%s, repeated: %v, %v; the honest one is out: %v", frame, err, g.CheckRepeat(id, []byte(frame)), h.out(another))
			}
		}
	}
	for i := range 10 {
		if _, err := try(fmt.Sprint("new ", i)); err != nil {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if n := len(h.returners.of[id]); n != maxAttempts || !h.out(honest) {
		t.Errorf("%d attempts; the one that was silent for longest is out: %v", n, h.out(honest))
	}
	if err := h.come("").Return([32]byte{2}, []byte("seen")); err != nil {
		t.Errorf("another session: %v", err)
	}
}

func TestLobbyLeave(t *testing.T) {
	h := aHall(t, 2, 2)
	first := h.come("")
	second := h.come("")
	first.Leave()
	first.Leave() // twice does no harm
	h.come("")
	if h.out(second) {
		t.Error("somebody was pushed out although there was room")
	}
	why := errors.New("closing")
	h.Close(why)
	if got := second.Leave(); got != why || h.Len() != 0 {
		t.Errorf("after close: %v, %d guests", got, h.Len())
	}
	ctx, _, err := h.Enter(context.Background(), comes{nil, ""}, 0)
	if err != why || ctx.Err() == nil || h.Len() != 0 {
		t.Errorf("entered a closed lobby: %v, %d guests", err, h.Len())
	}
}

// A lobby that is entered and left many times keeps nothing.
func TestLobbyKeepsNothing(t *testing.T) {
	h := aHall(t, 100, 10)
	for i := range 1000 {
		g := h.come("192.0.2.1:1")
		g.FrameCame()
		switch i % 3 {
		case 0:
			g.WaitForSlot(t.Context(), time.Second)
			g.FrameExpected()
		case 1:
			g.Return([32]byte{byte(i)}, []byte{byte(i)})
			g.FrameExpected()
		}
		g.Leave()
	}
	x := &h.strangers
	if h.Len()+x.all()+len(x.of)+len(x.lines)+len(x.silent.byAddress)+len(h.returners.of)+len(h.returners.silent.byAddress)+len(h.newcomers.byAddress) != 0 {
		t.Error("guests are left behind")
	}
}
