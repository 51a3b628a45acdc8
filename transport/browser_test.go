//go:build !js

package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/transport"
)

// TestInChromium runs the tests of this package in a browser: those of the pipe,
// and those of dial_js_test.go, which need the server that stands here.
func TestInChromium(t *testing.T) {
	foreign := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { // another origin than the page's
		if _, err := transport.Accept(w, r, accepting(nil)); err == nil {
			t.Error("a browser did not send the page's origin, or Accept does not look at it")
		}
	})
	chromium.RunGoTest(t, ".", &chromium.GoTest{
		Handler: newBrowserServer(t),
		Env:     map[string]string{"FOREIGN": foreign, "REFUSED": "ws://" + freeport.Address(t)},
		Errors:  []string{"WebSocket connection to"}, // some fail on purpose
	})
}

// A browserServer does what a page asks for by path. Pages learn what it saw of
// the end of their connection at /ended.
type browserServer struct {
	over  <-chan struct{} // closed when the test is
	mu    sync.Mutex
	ended map[string]chan string         // by the query's id
	first map[string]chan transport.Conn // who waits for the other end, by the query's id
}

func newBrowserServer(t *testing.T) http.Handler {
	s := &browserServer{over: t.Context().Done(), ended: make(map[string]chan string), first: make(map[string]chan transport.Conn)}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/{what}", s.websocket)
	mux.HandleFunc("/ended", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, s.await(r))
	})
	return mux
}

func (s *browserServer) of(r *http.Request) chan string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.URL.Query().Get("id")
	if s.ended[id] == nil {
		s.ended[id] = make(chan string, 1)
	}
	return s.ended[id]
}

// await returns what is said about a connection.
func (s *browserServer) await(r *http.Request) string {
	select {
	case text := <-s.of(r):
		return text
	case <-s.over:
		return ""
	}
}

func (s *browserServer) say(r *http.Request, text string) {
	select {
	case s.of(r) <- text:
	case <-s.over:
	}
}

func (s *browserServer) websocket(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("what") == "text" {
		s.text(w, r)
		return
	}
	opts := accepting(nil)
	opts.Subprotocols = []string{"chat.v1"}
	conn, err := transport.Accept(w, r, opts)
	if err != nil {
		return
	}
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	ctx := context.Background()
	switch r.PathValue("what") {
	case "echo":
		echo(conn)
	case "count": // n numbered messages, then a close with a code
		for i := range n {
			conn.Write(ctx, []byte(strconv.Itoa(i)))
		}
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		conn.Close(transport.Code(code), "counted \x1b[2J")
	case "flood": // n messages of some size
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		for range n {
			conn.Write(ctx, make([]byte, size))
		}
	case "large":
		conn.Write(ctx, make([]byte, n))
	case "pair": // two of them are the two ends of one link
		s.pair(r.URL.Query().Get("id"), conn)
		return
	case "sink": // takes nothing until it is told to go on by a second connection
		s.await(r)
		for range n {
			if _, err := conn.Read(ctx, nil); err != nil {
				return
			}
		}
		conn.Write(ctx, []byte("took it all"))
	case "go":
		s.say(r, "go on")
		conn.Read(ctx, nil)
		conn.Close(transport.CodeNormal, "")
		return
	}
	_, err = conn.Read(ctx, nil)
	conn.Close(transport.CodeNormal, "")
	s.say(r, fmt.Sprint(err))
}

func (s *browserServer) text(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	ws.Write(r.Context(), websocket.MessageText, []byte("text"))
	_, _, err = ws.Read(r.Context())
	s.say(r, fmt.Sprint(websocket.CloseStatus(err)))
}

// pair connects the second connection of an id with the first.
func (s *browserServer) pair(id string, conn transport.Conn) {
	s.mu.Lock()
	other, found := s.first[id]
	if !found {
		other = make(chan transport.Conn, 1)
		s.first[id] = other
	}
	s.mu.Unlock()
	if !found {
		other <- conn
		return
	}
	first := <-other
	go forward(first, conn)
	forward(conn, first)
}

// forward passes on messages and the way in which they end.
func forward(from, to transport.Conn) {
	for {
		msg, err := from.Read(context.Background(), nil)
		if err == nil {
			err = to.Write(context.Background(), msg)
		}
		if err == nil {
			continue
		}
		var closed *transport.CloseError
		if errors.As(err, &closed) && closed.Remote {
			code := closed.Code
			if code == transport.CodeAbnormal {
				code = 4906 // as a page says it
			}
			to.Close(code, closed.Reason)
		}
		return
	}
}
