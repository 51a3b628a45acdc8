package frameworks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/justinas/nosurf"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/urfave/negroni"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	leak.Main(m)
}

// A stack is a framework with its middleware around a handler. What it logs goes to
// logs.
type stack func(srv http.Handler, logs io.Writer) http.Handler

// works are the stacks in which a WebSocket comes up.
var works = map[string]stack{
	"net/http": func(srv http.Handler, _ io.Writer) http.Handler { return srv },
	"gin": func(srv http.Handler, _ io.Writer) http.Handler {
		r := gin.New()
		r.GET("/socket", gin.WrapH(srv))
		return r
	},
	"gin, logger, recovery, gzip, headers": func(srv http.Handler, logs io.Writer) http.Handler {
		r := gin.New()
		r.Use(gin.LoggerWithWriter(logs), gin.RecoveryWithWriter(logs), gingzip.Gzip(gingzip.DefaultCompression), func(c *gin.Context) {
			c.Header("X-Before", "gin")
			c.Header("Content-Type", "text/html")
			c.Status(http.StatusAccepted) // held back, and not to be sent
			c.Next()
			c.Header("X-After", "late")
		})
		r.GET("/socket", gin.WrapH(srv))
		return r
	},
	"gin, panic behind": func(srv http.Handler, logs io.Writer) http.Handler {
		r := gin.New()
		r.Use(gin.RecoveryWithWriter(logs))
		r.GET("/socket", gin.WrapH(srv), func(*gin.Context) { panic("behind the handler") })
		return r
	},
	"gin, its writer handed over": func(srv http.Handler, _ io.Writer) http.Handler {
		r := gin.New()
		r.GET("/socket", func(c *gin.Context) { srv.ServeHTTP(c.Writer, c.Request) })
		return r
	},
	"chi": func(srv http.Handler, _ io.Writer) http.Handler {
		r := chi.NewRouter()
		r.Handle("/socket", srv)
		return r
	},
	"chi, logger, recoverer, compress, headers": func(srv http.Handler, logs io.Writer) http.Handler {
		r := chi.NewRouter()
		r.Use(chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(logs, "", 0), NoColor: true}),
			chimiddleware.Recoverer, chimiddleware.Compress(5, "text/plain"), chimiddleware.SetHeader("X-Before", "chi"), chimiddleware.Timeout(time.Minute))
		r.Handle("/socket", srv)
		return r
	},
	"echo": func(srv http.Handler, logs io.Writer) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(logs)
		e.GET("/socket", echo.WrapHandler(srv))
		return e
	},
	"echo, logger, recover, gzip, body limit, headers": func(srv http.Handler, logs io.Writer) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(logs)
		e.Use(echomiddleware.LoggerWithConfig(echomiddleware.LoggerConfig{Output: logs}), echomiddleware.Recover(), echomiddleware.Gzip(),
			echomiddleware.BodyLimit("1K"), echomiddleware.Secure(), func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error { c.Response().Header().Set("X-Before", "echo"); return next(c) }
			})
		e.GET("/socket", echo.WrapHandler(srv))
		return e
	},
	"gorilla/handlers": func(srv http.Handler, logs io.Writer) http.Handler {
		return handlers.RecoveryHandler()(handlers.CombinedLoggingHandler(logs, handlers.CompressHandler(handlers.ProxyHeaders(srv))))
	},
	"negroni": func(srv http.Handler, logs io.Writer) http.Handler {
		logger := negroni.NewLogger()
		logger.ALogger = log.New(logs, "", 0)
		n := negroni.New(negroni.NewRecovery(), logger)
		n.UseHandler(srv)
		return n
	},
	"nosurf": func(srv http.Handler, _ io.Writer) http.Handler { return nosurf.New(srv) },
	"a wrapper with Unwrap in one with Hijack": func(srv http.Handler, _ io.Writer) http.Handler {
		return wrapped(srv, func(w http.ResponseWriter) http.ResponseWriter { return hijacks{unwraps{w}} })
	},
	"a writer that answers by itself": func(srv http.Handler, _ io.Writer) http.Handler {
		return wrapped(srv, func(w http.ResponseWriter) http.ResponseWriter { return contrary{unwraps{w}} })
	},
}

// A hindrance is a stack in which no WebSocket can come up, and what its operator is
// told.
type hindrance struct {
	stack    stack
	sentence string
}

var refused = map[string]hindrance{
	"http.TimeoutHandler": {func(srv http.Handler, _ io.Writer) http.Handler {
		return http.TimeoutHandler(srv, time.Minute, "")
	}, "serve this path outside of http.TimeoutHandler"},
	"http.TimeoutHandler in chi": {func(srv http.Handler, logs io.Writer) http.Handler {
		r := chi.NewRouter()
		r.Use(chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(logs, "", 0)}),
			func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") })
		r.Handle("/socket", srv)
		return r
	}, "serve this path outside of http.TimeoutHandler"},
	"http.TimeoutHandler around gin": {func(srv http.Handler, _ io.Writer) http.Handler {
		r := gin.New()
		r.GET("/socket", gin.WrapH(srv))
		return http.TimeoutHandler(r, time.Minute, "")
	}, "serve this path outside of http.TimeoutHandler"},
	"http.TimeoutHandler around echo": {func(srv http.Handler, logs io.Writer) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(logs)
		e.GET("/socket", echo.WrapHandler(srv))
		return http.TimeoutHandler(e, time.Minute, "")
	}, "serve this path outside of http.TimeoutHandler"},
	"echo's own timeout": {func(srv http.Handler, logs io.Writer) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(logs)
		e.Use(echomiddleware.TimeoutWithConfig(echomiddleware.TimeoutConfig{Timeout: time.Minute}))
		e.GET("/socket", echo.WrapHandler(srv))
		return e
	}, "serve this path outside of"},
	"a wrapper without Unwrap": {func(srv http.Handler, _ io.Writer) http.Handler {
		return wrapped(srv, func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} })
	}, "give that type a method Unwrap() http.ResponseWriter"},
	"a wrapper without Unwrap below gorilla/handlers": {func(srv http.Handler, logs io.Writer) http.Handler {
		return wrapped(handlers.LoggingHandler(logs, srv), func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} })
	}, "the http.ResponseWriter cannot be hijacked"},
	"a Hijack that asserts": {func(srv http.Handler, _ io.Writer) http.Handler {
		return wrapped(srv, func(w http.ResponseWriter) http.ResponseWriter {
			return asserts{struct{ http.ResponseWriter }{w}}
		})
	}, "serve this path outside of the middleware that wraps it"},
	"gin around a wrapper without Unwrap": {func(srv http.Handler, _ io.Writer) http.Handler {
		r := gin.New()
		r.GET("/socket", gin.WrapH(srv))
		return wrapped(r, func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} })
	}, "give that type a method Unwrap() http.ResponseWriter"},
	"a Hijack of nothing": {func(srv http.Handler, _ io.Writer) http.Handler {
		return wrapped(srv, func(w http.ResponseWriter) http.ResponseWriter { return hijacksNothing{w} })
	}, "Hijack returned no connection"},
	"gin, something written before": {func(srv http.Handler, logs io.Writer) http.Handler {
		r := gin.New()
		r.GET("/socket", func(c *gin.Context) { c.Writer.WriteString("hello") }, gin.WrapH(srv))
		return r
	}, "has written to it"},
}

// A service echoes in a stack of its own.
type service struct {
	url    string
	server *keys.Identity
	said   *text // of the server's Logger
	logs   *text // of the framework, and of net/http
}

func start(t *testing.T, s stack) *service {
	t.Helper()
	me, err := keys.GenerateIdentity("server")
	if err != nil {
		t.Fatal(err)
	}
	it := &service{server: me, said: new(text), logs: new(text)}
	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: me, Verifier: trust.InsecureAnyone(), Protocol: "test/1",
		Options: e2e.Options{Logger: slog.New(slog.NewTextHandler(it.said, nil))}}, echoAll)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(s(srv, it.logs))
	h.Config.ErrorLog = log.New(it.logs, "", 0)
	h.Start()
	t.Cleanup(h.Close)
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	it.url = "ws" + strings.TrimPrefix(h.URL, "http") + "/socket"
	return it
}

func echoAll(ctx context.Context, s *e2e.Session) error {
	for {
		message, err := s.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.Send(ctx, message)
		}
		if err != nil {
			return err
		}
	}
}

// A session comes up behind every stack and carries bytes both ways.
func TestFrameworks(t *testing.T) {
	for name, s := range works {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			it := start(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			me, err := keys.GenerateIdentity("client")
			if err != nil {
				t.Fatal(err)
			}
			session, err := e2e.Dial(ctx, it.url, e2e.Config{Identity: me, Verifier: trust.Pinned(it.server.Fingerprint()), Protocol: "test/1",
				Dial: &transport.DialOptions{Header: http.Header{"Accept-Encoding": {"gzip"}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			for n := range 100 {
				want := fmt.Sprint(n, strings.Repeat(".", 100*n))
				if err := session.Send(ctx, []byte(want)); err != nil {
					t.Fatal(err)
				}
				if got, err := session.Receive(ctx); err != nil || string(got) != want {
					t.Fatalf("message %d: %d bytes, %v", n, len(got), err)
				}
			}
			if session.Stats().Resumes > 0 {
				t.Error("the framework cut the connection")
			}
			if logs := it.logs.String(); strings.Contains(logs, "hijacked") && !strings.Contains(name, "panic") {
				t.Errorf("net/http says:\n%s", logs)
			}
		})
	}
}

// Headers that middleware has set are in the answer 101, but for those that are not
// its own to set.
func TestHeadersOfMiddleware(t *testing.T) {
	for name, header := range map[string]string{
		"gin, logger, recovery, gzip, headers":             "gin",
		"chi, logger, recoverer, compress, headers":        "chi",
		"echo, logger, recover, gzip, body limit, headers": "echo",
	} {
		t.Run(name, func(t *testing.T) {
			resp := knock(t, start(t, works[name]))
			if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("X-Before") != header {
				t.Errorf("%s, %v", resp.Status, resp.Header)
			}
			for _, not := range []string{"Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "X-After"} {
				if resp.Header[not] != nil {
					t.Errorf("%s: %q", not, resp.Header[not])
				}
			}
		})
	}
}

// knock asks for a WebSocket and returns the answer.
func knock(t *testing.T, it *service) *http.Response {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(it.url, "ws://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccept-Encoding: gzip\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Where no WebSocket can come up the client is told so at once, and the operator why.
func TestFrameworksThatHideTheConnection(t *testing.T) {
	for name, h := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			it := start(t, h.stack)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			conn, err := transport.Dial(ctx, it.url, &transport.DialOptions{Sealed: true})
			var failed *transport.DialError
			if !errors.As(err, &failed) {
				t.Fatalf("%v, %v", conn, err)
			}
			if strings.Contains(name, "written before") { // the status was the framework's
				if failed.Status == http.StatusSwitchingProtocols {
					t.Error(err)
				}
			} else if failed.Status != http.StatusNotImplemented {
				t.Errorf("status %d: %v", failed.Status, err)
			}
			for !strings.Contains(it.said.String(), "reason=upgrade") {
				if ctx.Err() != nil {
					t.Fatal("the operator reads nothing")
				}
				time.Sleep(time.Millisecond)
			}
			if said := it.said.String(); !strings.Contains(said, h.sentence) {
				t.Errorf("the operator reads: %s", said)
			}
		})
	}
}

// HTTP/2 has no Upgrade: a client that speaks only that is refused as well.
func TestHTTP2(t *testing.T) {
	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: identity(t), Verifier: trust.InsecureAnyone(), Protocol: "test/1"}, echoAll)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(srv)
	h.EnableHTTP2 = true
	h.StartTLS()
	defer h.Close()
	client := h.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Get(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}

func identity(t *testing.T) *keys.Identity {
	t.Helper()
	me, err := keys.GenerateIdentity("server")
	if err != nil {
		t.Fatal(err)
	}
	return me
}

// A text takes what several goroutines write.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
