//go:build !js

package jwtauth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/jwtauth"
)

// A service whose clients log in elsewhere. Here the issuer is made up: its keys
// are at hand, and its token is good for an hour.
func Example() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"EdDSA","kid":"2026-11"}`)) + "." + b64(fmt.Appendf(nil,
		`{"iss":"https://login.example/","aud":"https://chat.example/","sub":"ann","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	token += "." + b64(ed25519.Sign(private, []byte(token)))

	verifier, err := jwtauth.New(jwtauth.Options{
		Issuer:   "https://login.example/",
		Audience: "https://chat.example/",
		Keys:     fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-11","x":%q}]}`, b64(public)),
		// Or URL: "https://login.example/.well-known/jwks.json"
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{
			Authenticate: verifier.Authenticate,
			Policy:       transport.Development, // elsewhere tokens need TLS
		})
		if err != nil {
			fmt.Println(err)
			return // Accept has answered the request
		}
		conn.Close(transport.CodeNormal, "welcome, "+conn.Info().Principal)
	}))
	defer server.Close()

	for _, shown := range []string{token, token[:len(token)-4] + "AAAA"} {
		conn, err := transport.Dial(context.Background(), server.URL, &transport.DialOptions{
			BearerToken: shown,
			Policy:      transport.Development,
		})
		if err != nil {
			fmt.Println("refused")
			continue
		}
		_, err = conn.Read(context.Background(), nil)
		fmt.Println(err)
	}
	// Output:
	// transport: the peer closed the connection: normal closure (1000) "welcome, ann"
	// transport: accept: Authenticate does not know the client: jwtauth: token: its signature is wrong: unauthorized (answered 401)
	// refused
}
