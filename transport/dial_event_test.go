//go:build !js

package transport_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

// phases dials and returns the events up to that of the last phase.
func phases(t *testing.T, url string, opts transport.DialOptions, last transport.Phase) []transport.DialEvent {
	t.Helper()
	events := make(chan transport.DialEvent, 10)
	opts.Notify = func(e transport.DialEvent) { events <- e }
	opts.Policy = transport.Development
	if conn, err := transport.Dial(t.Context(), url, &opts); err == nil {
		conn.Close(transport.CodeNormal, "")
	}
	var all []transport.DialEvent
	for {
		e := <-events
		all = append(all, e)
		if e.Phase == last || e.Err != nil {
			return all
		}
	}
}

func names(events []transport.DialEvent) string {
	var s []string
	for _, e := range events {
		s = append(s, e.Phase.String())
	}
	return strings.Join(s, " ")
}

func TestDialTellsItsPhases(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, accepting(nil)); err == nil {
			conn.Read(t.Context(), nil)
		}
	}))
	defer server.Close()
	h := startHop(t, nil, connectProxy(server.Listener.Addr().String(), ""))
	opts := transport.DialOptions{
		TLS:   &transport.TLSOptions{RootsPEM: pki.PEM(server.Certificate())},
		Proxy: via("http://" + h.Addr().String()),
	}

	all := phases(t, "wss://example.com/s3cr3t", opts, transport.PhaseUpgrade)
	if got := names(all); got != "DNS TCP proxy TLS upgrade" {
		t.Fatalf("phases %s", got)
	}
	if a := all[0].Addresses; len(a) != 1 || a[0].String() != "127.0.0.1" {
		t.Errorf("addresses %v", a)
	}
	if all[1].Remote != h.Addr().String() || all[1].Local == "" {
		t.Errorf("connected from %s to %s", all[1].Local, all[1].Remote)
	}
	if s := all[3].TLS; s == nil || s.Version != "TLS 1.3" || s.ALPN != "http/1.1" || s.Curve != "X25519MLKEM768" || len(s.Peer) != 1 || len(s.ChannelBinding()) != 32 {
		t.Errorf("TLS %+v", s)
	}
	for _, e := range all {
		if e.Target != "wss://example.com" || e.Proxy != "http://"+h.Addr().String() || e.Err != nil || e.Took <= 0 {
			t.Errorf("%+v", e)
		}
	}
}

func TestDialTellsThePhaseThatFailed(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for url, want := range map[string]string{
		"wss://hopseal.invalid":          "DNS",
		"ws://" + freeport.Address(t):    "DNS TCP",
		"wss" + server.URL[len("http"):]: "DNS TCP TLS",
		server.URL + "/s3cr3t?s3cr3t":    "DNS TCP upgrade",
	} {
		all := phases(t, url, transport.DialOptions{}, 0)
		last := all[len(all)-1]
		if got := names(all); got != want || last.Err == nil || last.Err.Phase != last.Phase {
			t.Errorf("phases %s, want %s: %v", got, want, last.Err)
		}
	}
}

func TestNotifyMayPanic(t *testing.T) {
	url := serve(t, nil, echo)
	called := make(chan struct{}, 10)
	wantEcho(t, dial(t, url, &transport.DialOptions{Notify: func(transport.DialEvent) {
		called <- struct{}{}
		panic("on purpose")
	}}))
	for range 3 {
		<-called
	}
}
