//go:build !js

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/tap"
	"github.com/hopseal/hopseal/transport"
)

var traceCommand = command{name: "trace", args: "URL", summary: "be a hop on this machine on the way to a WebSocket server, and show what passes", run: trace}

// maxTraced is the largest message that a trace lets through.
const maxTraced = 64 << 20

func trace(ctx context.Context, c *call) error {
	var dial dialFlags
	dial.add(c)
	listen := c.String("listen", "127.0.0.1:0", "wait for clients at this loopback `address`")
	var origins listFlag
	c.Var(&origins, "origin", "let pages of this `origin` in, such as https://app.example.com, beside those of this machine; may be repeated")
	full := c.Bool("hex", false, "show every byte of the messages")
	if err := c.parse(1, 1); err != nil {
		return err
	}
	opts, err := dial.options(c)
	if err != nil {
		return err
	}
	defer dial.close()
	opts.Sealed, opts.MaxMessage, opts.KeepAlive = true, maxTraced, -1
	listener, err := listenLocally(*listen)
	if err != nil {
		return err
	}
	p := &tracePrinter{w: c.stdout, full: *full, json: c.json}
	p.begin("ws://" + listener.Addr().String())
	return serveUntil(ctx, listener, &tap.Tap{Target: c.args[0], Dial: *opts, Origins: origins, Report: p.print})
}

// listenLocally refuses other machines: a tap lets everybody in.
func listenLocally(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("-listen wants a loopback address, such as 127.0.0.1:8000: a trace lets everybody in who can reach it")
	}
	return net.Listen("tcp", address)
}

func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// A tracePrinter writes what a tap sees, a line for each event.
type tracePrinter struct {
	mu         sync.Mutex
	w          io.Writer
	full, json bool
}

// traceResult is an event in JSON, one to a line.
type traceResult struct {
	Time     string `json:"time"`
	Conn     int64  `json:"connection"`
	Event    string `json:"event"` // "open", "message", "closed" or "failed"
	ToServer bool   `json:"to_server"`
	Size     int    `json:"size,omitempty"`
	Head     string `json:"head,omitempty"` // of the message, in hexadecimal; all of it with -hex
	Way      string `json:"way,omitempty"`
	Why      string `json:"why,omitempty"`
}

// tracedBytes is how much of a message is shown without -hex.
const tracedBytes = 16

// begin says where the trace can be dialled.
func (p *tracePrinter) begin(url string) {
	if p.json {
		fmt.Fprintf(p.w, "{\"event\":\"listening\",\"url\":%q}\n", url)
		return
	}
	fmt.Fprintf(p.w, "dial %s instead of the server; stop with Ctrl-C\n", url)
}

func (p *tracePrinter) print(e tap.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.describe(e)
	if p.json {
		line, _ := json.Marshal(r) // of strings that shown has made ASCII, and numbers
		fmt.Fprintf(p.w, "%s\n", line)
		return
	}
	fmt.Fprintln(p.w, r)
	if p.full && e.Kind == tap.Message {
		io.WriteString(p.w, hex.Dump(e.Data))
	}
}

func (p *tracePrinter) describe(e tap.Event) traceResult {
	r := traceResult{Time: e.Time.UTC().Format(timeFormat), Conn: e.Conn, Event: e.Kind.String(), ToServer: e.ToServer}
	switch e.Kind {
	case tap.Opened:
		r.Way = describeConnection(e.Server)
	case tap.Message:
		r.Size, r.Head = len(e.Data), hex.EncodeToString(e.Data[:min(len(e.Data), tracedBytes)])
		if p.full && p.json {
			r.Head = hex.EncodeToString(e.Data)
		}
	default:
		r.Why = shown(e.Err.Error())
	}
	return r
}

// String returns the event as a line of text.
func (r traceResult) String() string {
	arrow := "<-"
	if r.ToServer {
		arrow = "->"
	}
	s := fmt.Sprintf("%s #%d %s %s", r.Time, r.Conn, arrow, r.Event)
	switch {
	case r.Way != "":
		return s + ": " + r.Way
	case r.Why != "":
		return s + ": " + r.Why
	case r.Size > len(r.Head)/2:
		return fmt.Sprintf("%s, %s: %s...", s, sizeText(int64(r.Size)), r.Head)
	}
	return fmt.Sprintf("%s, %s: %s", s, sizeText(int64(r.Size)), r.Head)
}

// describeConnection says how the server was reached.
func describeConnection(i transport.Info) string {
	s := i.Kind + " to " + i.Remote
	if i.TLS != nil {
		s += ", " + i.TLS.Version
	}
	if i.Proxy != "" {
		s += ", by the proxy " + i.Proxy
	}
	if i.Subprotocol != "" {
		s += ", subprotocol " + shown(i.Subprotocol)
	}
	return s
}
