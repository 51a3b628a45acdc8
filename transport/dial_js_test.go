package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall/js"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// These tests need the server of browser_test.go, and run in Chromium.

func browser(t *testing.T) {
	t.Helper()
	if js.Global().Get("document").IsUndefined() {
		t.Skip("this is Node: TestInChromium runs it in a browser")
	}
}

// ids tell the server whose end is whose.
var ids int

func wsURL(what string) (url string, id int) {
	ids++
	host := js.Global().Get("location").Get("host").String()
	return fmt.Sprintf("ws://%s/test/ws/%s&id=%d", host, what, ids), ids
}

// dial opens a connection to the server's function what, with a query.
func dial(t *testing.T, what string, opts *transport.DialOptions) (conn transport.Conn, id int) {
	t.Helper()
	browser(t)
	url, id := wsURL(what)
	conn, err := transport.Dial(t.Context(), url, locally(opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return conn, id
}

// await waits for a promise and returns its value.
func await(t *testing.T, promise js.Value) js.Value {
	t.Helper()
	type result struct {
		value js.Value
		ok    bool
	}
	done := make(chan result, 1)
	settle := func(ok bool) js.Func {
		return js.FuncOf(func(_ js.Value, args []js.Value) any { done <- result{args[0], ok}; return nil })
	}
	resolved, rejected := settle(true), settle(false)
	defer resolved.Release()
	defer rejected.Release()
	promise.Call("then", resolved, rejected)
	r := <-done
	if !r.ok {
		t.Fatalf("a promise was rejected: %s", r.value.Call("toString").String())
	}
	return r.value
}

// ended returns how the server saw the connection end.
func ended(t *testing.T, id int) string {
	t.Helper()
	response := await(t, js.Global().Call("fetch", fmt.Sprintf("/test/ended?id=%d", id)))
	return await(t, response.Call("text")).String()
}

func TestBrowserMessagesOfEverySizePass(t *testing.T) {
	conn, _ := dial(t, "echo?", nil)
	var buf []byte
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, transport.DefaultMaxMessage, 3} {
		msg := bytes.Repeat([]byte{byte(size), 0xff, 0}, size/3+1)[:size]
		want := bytes.Clone(msg)
		if err := conn.Write(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		clear(msg) // the browser has to have its copy by now
		var err error
		if buf, err = conn.Read(t.Context(), append(buf[:0], "head"...)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf[4:], want) || string(buf[:4]) != "head" {
			t.Fatalf("%d bytes came back as %d", size, len(buf)-4)
		}
	}
	info := conn.Info()
	if info.Kind != "ws" || info.Remote != js.Global().Get("location").Get("host").String() {
		t.Errorf("got %+v", info)
	}
}

func TestBrowserReadFillsTheCallersBuffer(t *testing.T) {
	conn, _ := dial(t, "echo?", nil)
	mustWrite(t, conn, "exact")
	dst := make([]byte, 0, 5)
	got, err := conn.Read(t.Context(), dst)
	if err != nil || string(got) != "exact" || &got[0] != &dst[:1][0] {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestBrowserDeliversWhatCameBeforeTheClose(t *testing.T) {
	conn, _ := dial(t, "count?n=5000&code=1001", nil)
	for i := range 5000 {
		if got := mustRead(t, conn); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	dst, err := conn.Read(t.Context(), []byte("kept"))
	wantClosed(t, err, transport.CodeGoingAway, true)
	if !errors.Is(err, io.EOF) || string(dst) != "kept" {
		t.Fatalf("dst %q, err %v", dst, err)
	}
	if text := err.Error(); !strings.Contains(text, `"counted \x1b[2J"`) {
		t.Fatalf("A47: shown as %q", text)
	}
}

func TestBrowserDeliversWhatWaitedWhenTheCloseCame(t *testing.T) {
	conn, id := dial(t, "count?n=1000&code=1000", nil)
	ended(t, id) // the close handshake is over
	for i := range 1000 {
		if got := mustRead(t, conn); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeNormal, true)
}

func TestBrowserCloseCodesReachTheServer(t *testing.T) {
	for _, code := range []transport.Code{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013, 1014, 3000, 4000, 4899} {
		conn, id := dial(t, "echo2?", nil)
		if err := conn.Close(code, "réason"); err != nil {
			t.Fatalf("%v: %v", code, err)
		}
		if err := conn.Close(transport.CodeNormal, ""); err != nil {
			t.Fatalf("a second Close: %v", err)
		}
		want := (&transport.CloseError{Code: code, Reason: "réason", Remote: true}).Error()
		if got := ended(t, id); got != want {
			t.Errorf("the server saw %q, want %q", got, want)
		}
		_, err := conn.Read(t.Context(), nil)
		wantClosed(t, err, code, false)
		wantClosed(t, conn.Write(t.Context(), nil), code, false)
	}
}

func TestBrowserRefusesText(t *testing.T) {
	conn, id := dial(t, "text?", nil)
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeUnsupported, false)
	if got := ended(t, id); got != "StatusCode(4903)" {
		t.Errorf("the server saw %s", got)
	}
}

func TestBrowserRefusesLargeMessages(t *testing.T) {
	conn, _ := dial(t, "large?n=1000", &transport.DialOptions{MaxMessage: 1000})
	mustRead(t, conn)
	conn, id := dial(t, "large?n=1001", &transport.DialOptions{MaxMessage: 1000})
	_, err := conn.Read(t.Context(), nil)
	wantClosed(t, err, transport.CodeTooLarge, false)
	if !errors.Is(err, transport.ErrTooLarge) {
		t.Fatalf("%v does not match ErrTooLarge", err)
	}
	if got := ended(t, id); !strings.Contains(got, "message too large (1009)") {
		t.Errorf("the server saw %q", got)
	}
}

func TestBrowserMeasuresWhatWaitsWhenItIsRead(t *testing.T) {
	for max, refused := range map[int]bool{999: true, 1000: false, 1001: false} {
		conn, id := dial(t, "large?n=1000", &transport.DialOptions{MaxMessage: 1000})
		limit := conn.(interface{ SetMaxMessage(n int) })
		limit.SetMaxMessage(1)
		limit.SetMaxMessage(max)
		if !refused {
			mustRead(t, conn)
			continue
		}
		_, err := conn.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeTooLarge, false)
		if got := ended(t, id); !strings.Contains(got, "message too large (1009)") {
			t.Errorf("the server saw %q", got)
		}
	}
}

func TestA34BrowserQueueIsBounded(t *testing.T) {
	for name, what := range map[string]string{"messages": "count?n=1100&code=1000", "bytes": "flood?n=40&size=1000"} {
		t.Run(name, func(t *testing.T) {
			conn, id := dial(t, what, &transport.DialOptions{MaxMessage: 1000})
			ended(t, id) // nobody has read
			_, err := conn.Read(t.Context(), nil)
			wantClosed(t, err, transport.CodePolicy, false)
			if !strings.Contains(err.Error(), "faster than they were read") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestBrowserQueueForgetsWhatWasRead(t *testing.T) {
	conn, _ := dial(t, "echo?", &transport.DialOptions{MaxMessage: 1000})
	for range 20 { // more than may wait at a time
		if err := conn.Write(t.Context(), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		mustRead(t, conn)
	}
}

func TestBrowserWriteWaitsForThePeer(t *testing.T) {
	const messages = 24
	browser(t)
	js.Global().Call("eval", `
		const send = WebSocket.prototype.send;
		WebSocket.prototype.send = function (data) { window.sender = this; send.call(this, data) };
		window.full = () => new Promise(function look(done) {
			window.sender?.bufferedAmount > 1 << 20 ? done() : setTimeout(look, 5, done);
		});`)
	conn, id := dial(t, fmt.Sprintf("sink?n=%d", messages), nil)
	written, failed := 0, make(chan error, 1)
	go func() {
		for range messages {
			if err := conn.Write(context.Background(), make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
			written++
		}
		failed <- nil
	}()
	await(t, js.Global().Call("full"))
	if written == messages {
		t.Error("24 MiB went to a peer that takes nothing")
	}
	host := js.Global().Get("location").Get("host").String()
	other, err := transport.Dial(t.Context(), fmt.Sprintf("ws://%s/test/ws/go?id=%d", host, id), local)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(transport.CodeNormal, "")
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, conn); got != "took it all" {
		t.Fatalf("got %q", got)
	}
}

func TestBrowserContextEndsTheConnection(t *testing.T) {
	conn, id := dial(t, "echo2?", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := conn.Read(ctx, nil)
	wantClosed(t, err, transport.CodeAbnormal, false)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v does not match the context's error", err)
	}
	if got := ended(t, id); !strings.Contains(got, "connection broke") {
		t.Errorf("the server saw %q", got)
	}

	conn, _ = dial(t, "sink?n=0", nil)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	for err = nil; err == nil; { // until the browser holds enough
		err = conn.Write(ctx, make([]byte, 1<<20))
	}
	wantClosed(t, err, transport.CodeAbnormal, false)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v does not match the context's error", err)
	}
}

func TestBrowserCloseUnblocksARead(t *testing.T) {
	conn, _ := dial(t, "echo2?", nil)
	began, failed := make(chan struct{}), make(chan error)
	go func() { close(began); _, err := conn.Read(context.Background(), nil); failed <- err }()
	<-began
	conn.Close(transport.CodeNormal, "")
	wantClosed(t, <-failed, transport.CodeNormal, false)
}

func TestBrowserDialErrors(t *testing.T) {
	browser(t)
	missing, _ := wsURL("../missing?")
	for url, want := range map[string]string{
		os.Getenv("REFUSED"): "the browser could not connect",
		os.Getenv("FOREIGN"): "the browser could not connect",
		missing:              "the browser could not connect",
		"ftp://example.com":  "must start with wss:// or ws://",
		"ws://a b/?s3cr3t":   "cannot be parsed",
	} {
		conn, err := transport.Dial(t.Context(), url, local)
		var e *transport.DialError
		if !errors.As(err, &e) || !strings.Contains(e.Error(), want) || strings.Contains(e.Error(), "s3cr3t") {
			t.Errorf("%s: %v, %v", url, conn, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	url, _ := wsURL("echo?")
	if _, err := transport.Dial(ctx, url, local); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBrowserThatRefusesTheURL(t *testing.T) {
	window := js.Global()
	real := window.Get("WebSocket")
	defer window.Set("WebSocket", real)
	window.Set("WebSocket", window.Call("eval", `(class { constructor() { throw new DOMException("insecure", "SecurityError") } })`))
	_, err := transport.Dial(t.Context(), "ws://example.com/?s3cr3t", &transport.DialOptions{Sealed: true})
	var e *transport.DialError
	if !errors.As(err, &e) || !e.Permanent() || !strings.Contains(e.Error(), "may only open wss://") {
		t.Errorf("got %v", err)
	}
	window.Set("WebSocket", js.Undefined())
	_, err = transport.Dial(t.Context(), "ws://example.com/?s3cr3t", &transport.DialOptions{Sealed: true})
	if !errors.As(err, &e) || !e.Permanent() || !strings.Contains(e.Error(), "no WebSocket") {
		t.Errorf("got %v", err)
	}
}

func TestBrowserListensOnlyWhileTheConnectionLives(t *testing.T) {
	browser(t)
	js.Global().Call("eval", `
		window.listeners = 0;
		for (const [name, n] of [["addEventListener", 1], ["removeEventListener", -1]]) {
			const real = WebSocket.prototype[name];
			WebSocket.prototype[name] = function (...args) { window.listeners += n; return real.apply(this, args) };
		}`)
	listeners := func() int { return js.Global().Get("listeners").Int() }
	conn, _ := dial(t, "echo?", nil)
	if listeners() == 0 {
		t.Fatal("nothing was counted")
	}
	conn.Close(transport.CodeNormal, "")
	for range 3 {
		conn, _ = dial(t, "count?n=0&code=1000", nil)
		_, err := conn.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeNormal, true)
		transport.Dial(t.Context(), os.Getenv("REFUSED"), local)
	}
	if n := listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestAcceptInABrowser(t *testing.T) {
	if _, err := transport.Accept(nil, nil, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
