package transport_test

import (
	"context"
	"errors"
	"strings"
	"syscall/js"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// pretend makes the page believe that it is offline, or not, and counts who
// listens to the online event. It says so as a browser does.
func pretend(t *testing.T) (online func(bool), listeners func() int) {
	t.Helper()
	browser(t)
	js.Global().Call("eval", `
		window.pretended = true;
		window.onlineListeners = 0;
		Object.defineProperty(navigator, "onLine", { configurable: true, get: () => window.pretended });
		window.restore = [];
		for (const [name, n] of [["addEventListener", 1], ["removeEventListener", -1]]) {
			const real = window[name];
			window[name] = function (...args) {
				if (args[0] === "online") window.onlineListeners += n;
				return real.apply(window, args);
			};
			window.restore.push(() => { window[name] = real });
		}`)
	t.Cleanup(func() {
		js.Global().Call("eval", `delete navigator.onLine; for (const undo of window.restore) undo()`)
	})
	online = func(is bool) {
		js.Global().Set("pretended", is)
		name := map[bool]string{true: "online", false: "offline"}[is]
		js.Global().Call("dispatchEvent", js.Global().Get("Event").New(name))
	}
	return online, func() int { return js.Global().Get("onlineListeners").Int() }
}

func TestBrowserWakesWithItsNetwork(t *testing.T) {
	online, listeners := pretend(t)
	url, _ := wsURL("echo?")
	dials := 0
	retry := redial.Policy{
		Base: 1000 * time.Hour, Cap: 1000 * time.Hour, // only the event can end such a wait
		Notify: func(e redial.Event) {
			if e.State == redial.Waiting {
				online(true) // in an event of its own, while Next waits
			}
		},
	}
	d := redial.New(retry, func(ctx context.Context) (transport.Conn, error) {
		dials++
		if !js.Global().Get("navigator").Get("onLine").Bool() {
			t.Error("dialled while offline")
		}
		return transport.Dial(ctx, url, local)
	})

	online(false)
	conn, err := d.Next(t.Context(), nil) // waits for the network
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, conn, "first")
	if got := mustRead(t, conn); got != "first" {
		t.Errorf("got %q", got)
	}
	conn.Close(transport.CodeNormal, "")

	conn, err = d.Next(t.Context(), errors.New("the network changed")) // waits for the time
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	mustWrite(t, conn, "second")
	if got := mustRead(t, conn); got != "second" || dials != 2 {
		t.Errorf("got %q after %d dials", got, dials)
	}
	if n := listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestBrowserOfflineIsCancelled(t *testing.T) {
	online, listeners := pretend(t)
	online(false)
	ctx, cancel := context.WithCancel(t.Context())
	retry := redial.Policy{Notify: func(e redial.Event) {
		if e.State == redial.Waiting && e.Offline {
			cancel()
		}
	}}
	_, err := retry.Dial(ctx, func(context.Context) (transport.Conn, error) {
		t.Error("dialled while offline")
		return nil, context.Canceled
	})
	if !errors.Is(err, context.Canceled) || listeners() != 0 {
		t.Errorf("%v, with %d listeners left", err, listeners())
	}
}

// TestBrowserComesBackAfterTheServersClose: with each code, translated on the way.
func TestBrowserComesBackAfterTheServersClose(t *testing.T) {
	for code, want := range map[string]redial.Action{
		"1000": redial.Stop, "1001": redial.Retry, "1008": redial.Stop,
		"1011": redial.Retry, "1012": redial.Wait, "1013": redial.Wait,
		"3000": redial.Refresh, "3003": redial.Stop, "4000": redial.Retry,
	} {
		conn, _ := dial(t, "count?n=0&code="+code, nil)
		_, err := conn.Read(t.Context(), nil)
		if got := redial.ActionFor(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestBrowserGivesUpWhereNobodyAnswers(t *testing.T) {
	browser(t)
	url, _ := wsURL("../missing?")
	_, err := redial.Policy{Base: time.Millisecond, MaxTries: 3}.Dial(t.Context(), func(ctx context.Context) (transport.Conn, error) {
		return transport.Dial(ctx, url, local)
	})
	if err == nil || !strings.HasPrefix(err.Error(), "transport: gave up after 3 tries: cannot dial ws://") {
		t.Errorf("got %v", err)
	}
}
