//go:build !js

package acme

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport/servertls"
)

// A certificate that ends before it begins is refused as one that is no use, and nothing
// else comes of it.
func TestACertificateOfNoTime(t *testing.T) {
	inWorld(t, func(w *world) {
		w.life = -3 * time.Hour
		n := w.node(Options{})
		why := n.causeOf(name)
		w.expect("the cause", strings.Contains(why, "ends before it begins"), why)
		w.life = 0
		time.Sleep(2 * time.Minute)
		w.expect("the next one", n.visit(name) == 2)
	})
}

// A Notify that hangs holds up nothing but Notify.
func TestANotifyThatHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		hang := make(chan struct{})
		n := w.node(Options{Notify: func(servertls.Event) { <-hang }})
		start := time.Now()
		w.expect("first", n.visit(name) == 1 && time.Since(start) < 2*time.Second, time.Since(start))
		start = time.Now()
		w.expect("other", n.visit("other.example.com") == 2 && time.Since(start) < 2*time.Second, time.Since(start))
		start = time.Now()
		n.Manager.Close()
		w.expect("close", time.Since(start) < 20*time.Second, time.Since(start))
		close(hang)
	})
}

// An authority that says "processing, ask again in a day" and is done after a minute is
// asked before that.
func TestAnAuthorityThatExaggerates(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		var ready atomic.Bool
		var asked atomic.Int64
		w.fault(func(r *http.Request) *http.Response {
			if ready.Load() || !strings.HasPrefix(r.URL.Path, "/finalize/") && !strings.HasPrefix(r.URL.Path, "/order/") {
				return nil
			}
			out := httptest.NewRecorder()
			w.Config.Handler.ServeHTTP(out, r)
			if asked.Add(1) == 1 {
				return out.Result() // before finalize
			}
			answer := out.Result()
			text, _ := io.ReadAll(answer.Body)
			answer.Body = io.NopCloser(strings.NewReader(strings.Replace(string(text), `"status":"valid"`, `"status":"processing"`, 1)))
			answer.Header.Set("Retry-After", "86400")
			return answer
		})
		time.AfterFunc(time.Minute, func() { ready.Store(true) })
		err := n.Warm(w.Context(), name)
		w.expect("issued", err == nil, err)
	})
}

// An answer without end fills no memory.
func TestAnAnswerWithoutEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		var read atomic.Int64
		w.fault(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/new-order") {
				answer := problem(201, "", "")
				answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"status":"`), endless{&read}))
				return answer
			}
			return nil
		})
		why := n.causeOf(name)
		w.expect("told", strings.Contains(why, "the order"), why)
		w.expect("bounded", read.Load() < 4<<20, read.Load())
	})
}

type endless struct{ n *atomic.Int64 }

func (e endless) Read(p []byte) (int, error) {
	if e.n.Add(int64(len(p))) > 64<<20 {
		return 0, io.ErrUnexpectedEOF
	}
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// Hundreds of names that have to wait for each other fail not for that reason, and hold no
// lease while they wait.
func TestManyNames(t *testing.T) {
	inWorld(t, func(w *world) {
		var hosts []string
		for i := range 120 {
			hosts = append(hosts, fmt.Sprintf("n%d.example.com", i))
		}
		n := w.node(Options{Hosts: hosts})
		w.fault(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/new-order") {
				time.Sleep(20 * time.Second)
			}
			return nil
		})
		time.AfterFunc(30*time.Second, func() {
			leases := 0
			for _, key := range w.cache.keys() {
				if strings.HasSuffix(key, "+lease") {
					leases++
				}
			}
			w.expect("leases", leases <= maxOrders, leases)
		})
		err := n.Warm(w.Context())
		w.expect("all", err == nil, err)
		w.expect("no alarm", len(n.told(servertls.IssueFailed)) == 0)
	})
}

// Strangers who leave at once do not pile up calls of a cache that hangs.
func TestStrangersBeforeACacheThatHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{})
		hang, hanging := make(chan struct{}), new(atomic.Int64)
		w.cache.fault(func(context.Context, string, string) error {
			hanging.Add(1)
			defer hanging.Add(-1)
			<-hang
			return nil
		})
		handler := n.HTTPHandler(nil)
		for range 1000 {
			ctx, cancel := context.WithCancel(w.Context())
			go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", httpFolder+"token", nil))
			synctest.Wait()
			cancel()
			synctest.Wait()
		}
		w.expect("few calls", hanging.Load() <= maxLookups, hanging.Load())
		time.Sleep(time.Minute)
		for range 100 {
			go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", httpFolder+"token", nil))
		}
		time.Sleep(time.Minute)
		w.expect("few calls later", hanging.Load() <= maxLookups, hanging.Load())
		close(hang)
		synctest.Wait()
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, httptest.NewRequest("GET", httpFolder+"token", nil))
		w.expect("afterwards", out.Code == 404, out.Code)
	})
}

// A key of a kind that this package does not order for is replaced, not renewed.
func TestACachedKeyOfAnotherKind(t *testing.T) {
	inWorld(t, func(w *world) {
		_, private, _ := ed25519.GenerateKey(rand.Reader)
		request := must(x509.ParseCertificateRequest(must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, private))))
		leaf := w.issue(&order{number: 40}, request)
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})
		w.cache.Put(w.Context(), name, append(text, encode(leaf)...))
		n := w.node(Options{})
		w.expect("ordered", n.visit(name) == 1)
	})
}

// Names that strangers make up reach neither the policy nor the cache in a form that
// could be another entry's.
func TestMadeUpNames(t *testing.T) {
	inWorld(t, func(w *world) {
		var asked []string
		w.cache.fault(func(_ context.Context, _, key string) error { asked = append(asked, key); return nil })
		n := w.node(Options{HostPolicy: func(context.Context, string) error { return nil }})
		for _, made := range []string{"acme_account.key", "acme_account+key", "a.example.com+rsa", "a.example.com+token", "../a.b", "a/b.c", `a\b.c`, "a..b", "..", ".a.b", "a.b..",
			"*.example.com", "a b.example.com", "a.example.com\n", "127.0.0.1", "::1", "1.2.3.4.", "xn--a.example.com", strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 130) + "com", "-a.example.com"} {
			why := n.causeOf(made)
			w.expect(made, strings.HasPrefix(why, "acme: ") && len(asked) == 0, why, asked)
			asked = nil
		}
	})
}

// A HostPolicy whose goroutine ends has not said yes.
func TestAPolicyThatEndsItsGoroutine(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node(Options{HostPolicy: func(context.Context, string) error { runtime.Goexit(); return nil }})
		why := n.causeOf(name)
		w.expect("refused", strings.Contains(why, "HostPolicy refuses") && len(w.asked()) == 0, why)
	})
}

// A request line of any form leads to no other host than the one that was asked for.
func TestARedirectKeepsTheHost(t *testing.T) {
	inWorld(t, func(w *world) {
		handler := w.node(Options{}).HTTPHandler(nil)
		for line, want := range map[string]string{
			"/a?b=c":                  "https://chat.example.com/a?b=c",
			"//evil.example/a":        "https://chat.example.com//evil.example/a",
			"http:.evil.example":      "https://chat.example.com/",
			"http:@evil.example":      "https://chat.example.com/",
			"http://chat.example.com": "https://chat.example.com/",
			"*":                       "https://chat.example.com/",
		} {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + line + " HTTP/1.1\r\nHost: chat.example.com:80\r\n\r\n")))
			if err != nil {
				continue // net/http refuses it
			}
			out := httptest.NewRecorder()
			handler.ServeHTTP(out, r)
			w.expect(line, out.Header().Get("Location") == want, out.Code, out.Header().Get("Location"))
		}
	})
}
