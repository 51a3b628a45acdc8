package transport_test

import (
	"fmt"
	"strings"
	"syscall/js"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/conntest"
)

// fakeSocket is a WebSocket for Node: two of the same URL are connected to each
// other. It does what the standard of WebSockets in browsers says about events, close
// codes and states, and nothing at once: everything comes in an event of its own.
const fakeSocket = `
(() => {
	const waiting = new Map();
	const later = (f) => setImmediate(f);
	return class extends EventTarget {
		readyState = 0; bufferedAmount = 0; protocol = ""; binaryType = "blob";
		constructor(url, protocols) {
			super();
			for (const [i, p] of protocols.entries()) {
				if (/[^!-~]|[(),\/:;<=>?@[\\\]{}]/.test(p) || protocols.indexOf(p) !== i) throw new DOMException(p, "SyntaxError");
			}
			this.protocol = protocols[0] ?? "";
			const other = waiting.get(url);
			if (!other) { waiting.set(url, this); return; }
			waiting.delete(url);
			[this.other, other.other] = [other, this];
			for (const s of [this, other]) later(() => { s.readyState = 1; s.say("open", {}); });
		}
		say(name, what) { this.dispatchEvent(Object.assign(new Event(name), what)); }
		send(data) {
			if (this.readyState === 0) throw new DOMException("", "InvalidStateError");
			if (this.readyState !== 1) return;
			const copy = data.slice().buffer;
			this.bufferedAmount += copy.byteLength;
			later(() => {
				this.bufferedAmount -= copy.byteLength;
				if (this.other.readyState === 1) this.other.say("message", { data: copy });
			});
		}
		close(code = 1005, reason = "") {
			if (code !== 1005 && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new DOMException("", "InvalidAccessError");
			if (new TextEncoder().encode(reason).length > 123) throw new DOMException("", "SyntaxError");
			if (this.readyState >= 2) return;
			this.readyState = 2;
			later(() => {
				if (this.other.readyState < 3) this.other.ended(code, reason);
				if (this.readyState < 3) this.ended(code, reason);
			});
		}
		ended(code, reason) { this.readyState = 3; this.say("close", { code, reason, wasClean: true }); }
	};
})()`

// underNode gives Node the fake for the time of a test.
func underNode(t *testing.T) {
	real := js.Global().Get("WebSocket")
	js.Global().Set("WebSocket", js.Global().Call("eval", fakeSocket))
	t.Cleanup(func() { js.Global().Set("WebSocket", real) })
}

func inBrowser() bool { return !js.Global().Get("document").IsUndefined() }

// What Dial makes in a page keeps all promises of a Conn, but that a page cannot make
// a sender wait: under Node with sockets that play a browser's, and in Chromium with
// its own, whose other ends a server connects to each other.
func TestPagesKeepThePromises(t *testing.T) {
	if !inBrowser() {
		underNode(t)
	}
	conntest.Test(t, conntest.Link{OneWay: true, Unbounded: true, Connect: pagePair})
}

// pagePair returns two page's ends of one link.
func pagePair(t *testing.T) (a, b transport.Conn) {
	t.Helper()
	ids++
	url := fmt.Sprint("ws://localhost/pair/", ids)
	if inBrowser() {
		url, _ = wsURL("pair?")
	}
	type dialled struct {
		transport.Conn
		error
	}
	results := make(chan dialled, 2)
	for range 2 {
		go func() {
			conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development, MaxMessage: conntest.MaxMessage})
			results <- dialled{conn, err}
		}()
	}
	first, second := <-results, <-results
	if first.error != nil || second.error != nil {
		t.Fatalf("%v, %v", first.error, second.error)
	}
	return first.Conn, second.Conn
}

func TestPagesOfferSubprotocols(t *testing.T) {
	if inBrowser() {
		conn, _ := dial(t, "subprotocol?", &transport.DialOptions{Policy: transport.Development, Subprotocols: []string{"other.v2", "chat.v1"}})
		if got := conn.Info().Subprotocol; got != "chat.v1" {
			t.Errorf("got %q", got)
		}
	} else {
		underNode(t)
	}
	token := transport.BearerSubprotocol("s3cr3t")
	for _, c := range []struct {
		url    string
		offers []string
		want   string
	}{
		{"ws://localhost/", []string{"two words"}, "refuses Subprotocols"},
		{"ws://localhost/", []string{"chat.v1", "chat.v1"}, "refuses Subprotocols"},
		{"ws://192.0.2.1/", []string{"chat.v1", token}, "would cross the network in the clear"},
		{"ws://192.0.2.1/", []string{strings.ToUpper(token)}, "would cross the network in the clear"},
	} {
		_, err := transport.Dial(t.Context(), c.url, &transport.DialOptions{Policy: transport.Development, Sealed: true, Subprotocols: c.offers})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", c.offers, err)
		}
	}
}
