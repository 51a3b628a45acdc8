//go:build !js

package transport_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

func TestA42OptionsDoNotShowThemselves(t *testing.T) {
	own := pki.Issue("me", nil)
	opts := transport.DialOptions{
		BearerToken:  "s3cr3t",
		Header:       http.Header{"Cookie": {"s3cr3t"}},
		Subprotocols: []string{"hopseal.bearer.s3cr3t"},
		TLS:          &transport.TLSOptions{Certificates: []tls.Certificate{own.Pair()}, RootsPEM: []byte("s3cr3t")},
	}
	private, err := own.Key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	marker := new(big.Int).SetBytes(private).String() // as %v and JSON show it
	for _, v := range []any{opts, &opts, struct{ Opts transport.DialOptions }{opts}, opts.TLS, struct{ TLS *transport.TLSOptions }{opts.TLS}} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("", "opts", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("", "opts", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		if text := out.String(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "733363723374") || strings.Contains(text, marker) {
			t.Errorf("%T shows %s", v, text)
		}
	}
}
