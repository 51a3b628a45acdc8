//go:build !js

package jwt_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/jwt"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/jwtauth"
)

// A rotating issuer has a key after the other.
type rotating struct {
	mu   sync.Mutex
	name string
	key  issuer
}

func (r *rotating) rotate(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name, r.key = name, newIssuer()
}

func (r *rotating) RoundTrip(*http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, r.name, b64(r.key.public))
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(set)), Header: http.Header{}}, nil
}

func (r *rotating) token(life time.Duration) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	token := b64(fmt.Appendf(nil, `{"alg":"EdDSA","kid":%q}`, r.name)) + "." + b64(fmt.Appendf(nil,
		`{"iss":"https://login.example/","aud":"https://chat.example/","sub":"ann","exp":%d}`, time.Now().Add(life).Unix()))
	return token + "." + b64(ed25519.Sign(r.key.private, []byte(token)))
}

// Strangers with made-up names use up what may be fetched, each time that it is due, while the
// issuer goes over to other keys: a session whose client shows its tokens in time goes on.
func TestSessionOutlivesARotationUnderMadeUpNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		login := &rotating{}
		login.rotate("first")
		verifier, err := jwtauth.New(jwtauth.Options{Issuer: "https://login.example/", Audience: "https://chat.example/",
			URL: "https://login.example/jwks", Client: &http.Client{Transport: login}})
		if err != nil {
			t.Fatal(err)
		}
		service := newIdentity("chat service")
		srv, err := e2e.NewServer(e2e.ServerConfig{Identity: service, Verifier: trust.InsecureAnyone(), Protocol: "chat/1",
			Authenticate: jwt.Authenticate(verifier)}, func(ctx context.Context, s *e2e.Session) error {
			_, err := s.Receive(ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Shutdown(context.Background())
		shown := 0
		s, err := e2e.DialFunc(t.Context(), "chat", e2e.Config{Identity: newIdentity("a phone"), Verifier: trust.Pinned(service.Fingerprint()), Protocol: "chat/1",
			Credentials: func(context.Context) ([]byte, error) {
				if shown++; shown == 1 {
					return []byte(login.token(10 * time.Minute)), nil
				}
				for n := range 10 { // just ahead of the client
					verifier.Verify(t.Context(), b64(fmt.Appendf(nil, `{"alg":"EdDSA","kid":"made up %d %d"}`, shown, n))+"."+b64([]byte("{}"))+"."+b64(make([]byte, 64)))
				}
				if shown%4 == 2 {
					login.rotate(fmt.Sprint("key ", shown))
				}
				return []byte(login.token(10 * time.Minute)), nil
			}}, func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			go srv.ServeConn(context.Background(), b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		select {
		case <-s.Done():
			_, err := s.Receive(context.Background())
			t.Errorf("the session has ended: %v", err)
		case <-time.After(time.Hour):
		}
		if shown < 5 {
			t.Errorf("credentials were shown %d times", shown)
		}
	})
}
