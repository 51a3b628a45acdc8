//go:build !js

package netconn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport/redial"
)

// The Go project's own tests of a net.Conn.
func TestNetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := streams(t)
		return a, b, func() { go a.Close(); b.Close(); a.Close() }, nil
	})
}

// tunnel serves handler inside of sessions, and returns a client of it whose links go
// through hops as planned.
func tunnel(t *testing.T, protocol func(*http.Protocols), handler http.HandlerFunc, plan func(n int) hostile.Script) (*http.Client, *hostile.Proxy) {
	protocols := new(http.Protocols)
	protocol(protocols)
	scfg, ccfg := hosting(), dialing()
	ccfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond}
	scfg.KeepAlive, ccfg.KeepAlive = 300*time.Millisecond, 300*time.Millisecond
	l := newListener(t, scfg)
	inside := &http.Server{Handler: handler, Protocols: protocols}
	served := make(chan error, 1)
	go func() { served <- inside.Serve(l) }()
	t.Cleanup(func() {
		if err := inside.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	web := httptest.NewServer(l)
	t.Cleanup(web.Close)
	hop := hostile.Listen(t, "ws"+strings.TrimPrefix(web.URL, "http"), plan)
	through := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		s, err := e2e.Dial(ctx, hop.URL(), ccfg)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { s.Close() }) // a stream of HTTP/2 may not have ended yet
		return netconn.New(s), nil
	}}
	t.Cleanup(through.CloseIdleConnections)
	return &http.Client{Transport: through}, hop
}

// A download comes complete over a link that is cut again and again, and so does an
// upload, whatever speaks through it.
func TestHTTPSurvivesCuts(t *testing.T) {
	const size = 2 << 20
	file := randomBytes(2, size)
	for name, c := range map[string]struct {
		set         func(*http.Protocols)
		major, cuts int
	}{
		"HTTP/1.1": {func(p *http.Protocols) { p.SetHTTP1(true) }, 1, 20},
		"HTTP/2":   {func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, 2, 6},
	} {
		t.Run(name, func(t *testing.T) {
			var uploaded atomic.Int64
			handler := func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					body, err := io.ReadAll(r.Body)
					if err != nil || !bytes.Equal(body, file) {
						t.Errorf("uploaded %d bytes, %v", len(body), err)
					}
					uploaded.Add(int64(len(body)))
					return
				}
				w.Write(file)
			}
			client, hop := tunnel(t, c.set, handler, func(n int) hostile.Script {
				cut := hostile.FromNth(6, hostile.CutWithin)
				switch {
				case n < c.cuts/2:
					return hostile.Frames(nil, cut)
				case n < c.cuts:
					return hostile.Frames(cut, nil)
				}
				return hostile.Script{}
			})
			get, err := client.Get("http://inside/file")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(get.Body)
			get.Body.Close()
			if err != nil || !bytes.Equal(got, file) || get.ProtoMajor != c.major {
				t.Errorf("%d of %d bytes, %v, over %s", len(got), size, err, get.Proto)
			}
			post, err := client.Post("http://inside/file", "application/octet-stream", bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			post.Body.Close()
			if uploaded.Load() != size {
				t.Errorf("%d of %d bytes", uploaded.Load(), size)
			}
			if links, _ := hop.Links(); links < c.cuts {
				t.Errorf("%d links only", links)
			}
		})
	}
}

// What was written before Close arrives, although the link is cut right then.
func TestCloseWaitsForWhatWasWritten(t *testing.T) {
	scfg, ccfg := hosting(), dialing()
	ccfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond}
	l := newListener(t, scfg)
	web := httptest.NewServer(l)
	defer web.Close()
	hop := hostile.Listen(t, "ws"+strings.TrimPrefix(web.URL, "http"), func(n int) hostile.Script {
		if n == 0 {
			return hostile.Frames(hostile.FromNth(4, hostile.Cut), nil)
		}
		return hostile.Script{}
	})
	s, err := e2e.Dial(t.Context(), hop.URL(), ccfg)
	if err != nil {
		t.Fatal(err)
	}
	near := netconn.New(s)
	sent := randomBytes(3, 200_000)
	go func() {
		if _, err := near.Write(sent); err != nil {
			t.Errorf("Write: %v", err)
		}
		if err := near.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
	}
	if links, _ := hop.Links(); links != 2 {
		t.Errorf("%d links", links)
	}
	if _, err := far.Write([]byte("x")); err == nil { // handed on, and refused by then
		_, err = far.Write([]byte("x"))
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
	}
}
