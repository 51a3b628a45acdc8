//go:build !js

package jwt_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/jwt"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/jwtauth"
)

// An issuer of tokens that is made up: its keys are at hand.
type issuer struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newIssuer() issuer {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	return issuer{public, private}
}

var b64 = base64.RawURLEncoding.EncodeToString

func (i issuer) token(subject, audience string, life time.Duration) string {
	token := b64([]byte(`{"alg":"EdDSA","kid":"2026-11"}`)) + "." + b64(fmt.Appendf(nil,
		`{"iss":"https://login.example/","aud":%q,"sub":%q,"exp":%d}`, audience, subject, time.Now().Add(life).Unix()))
	return token + "." + b64(ed25519.Sign(i.private, []byte(token)))
}

func (i issuer) verifier() *jwtauth.Verifier {
	v, err := jwtauth.New(jwtauth.Options{
		Issuer:   "https://login.example/",
		Audience: "https://chat.example/",
		Keys:     fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-11","x":%q}]}`, b64(i.public)),
		// Or URL: "https://login.example/.well-known/jwks.json"
	})
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func newIdentity(name string) *keys.Identity {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		log.Fatal(err)
	}
	return id
}

// A service whose users log in elsewhere. No proxy on the way sees their tokens.
func Example() {
	login := newIssuer()
	service := newIdentity("chat service")
	srv, err := e2e.NewServer(e2e.ServerConfig{
		Identity:     service,
		Verifier:     trust.InsecureAnyone(), // the token says who it is
		Protocol:     "chat/1",
		Authenticate: jwt.Authenticate(login.verifier()),
	}, func(ctx context.Context, s *e2e.Session) error {
		return s.Send(ctx, []byte("welcome, "+s.Peer().Claims.(*jwtauth.Claims).Subject))
	})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(context.Background())

	session, err := e2e.Dial(context.Background(), web.URL, e2e.Config{
		Identity: newIdentity("a phone"),
		Verifier: trust.Pinned(service.Fingerprint()),
		Protocol: "chat/1",
		Credentials: func(context.Context) ([]byte, error) {
			return []byte(login.token("ann", "https://chat.example/", 10*time.Minute)), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	greeting, err := session.Receive(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", greeting)
	// Output: welcome, ann
}

func TestAuthenticate(t *testing.T) {
	login, other := newIssuer(), newIssuer()
	authenticate := jwt.Authenticate(login.verifier())
	peer := e2e.Peer{PublicIdentity: newIdentity("a phone").Public()}
	const here = "https://chat.example/"
	g, err := authenticate(t.Context(), peer, []byte(login.token("ann", here, time.Hour)))
	claims, ok := g.Claims.(*jwtauth.Claims)
	if err != nil || !ok || claims.Subject != "ann" || time.Until(g.Expires) < 59*time.Minute || time.Until(g.Expires) > 66*time.Minute {
		t.Errorf("a good token: %+v, %v", g, err)
	}
	for name, token := range map[string]string{
		"none": "", "garbage": "\xff\x00", "expired": login.token("ann", here, -time.Hour),
		"for another service": login.token("ann", "https://bank.example/", time.Hour),
		"of another issuer":   other.token("ann", here, time.Hour),
	} {
		if g, err := authenticate(t.Context(), peer, []byte(token)); !errors.Is(err, transport.ErrUnauthorized) || g.Claims != nil {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}
