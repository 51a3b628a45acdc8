//go:build !js

package jwtauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	issuer = "https://login.example/"
	here   = "https://chat.example/"
)

var (
	ecKey, _     = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	otherKey, _  = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _    = rsa.GenerateKey(rand.Reader, 2048)
	_, edKey, _  = ed25519.GenerateKey(rand.Reader)
	published    = jwks(jwk("ec", "", ecKey.Public()), jwk("rsa", "RS256", rsaKey.Public()), jwk("ed", "EdDSA", edKey.Public()))
	standardOpts = Options{Issuer: issuer, Audience: here, Keys: published}
)

func jwk(id, algorithm string, public any) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: id, Algorithm: algorithm, Key: public}
}

func jwks(keys ...jose.JSONWebKey) []byte {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		panic(err)
	}
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a token of an unchecked header and claims, with any kind of key: a secret
// gives HS256, nil gives no signature.
func sign(t *testing.T, key any, header, claims string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch k := key.(type) {
	case nil:
	case []byte:
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(input))
		sig = mac.Sum(nil)
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, digest[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	case *rsa.PrivateKey:
		if strings.Contains(header, "PS256") {
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(input))
	default:
		t.Fatalf("%T", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// claims returns good claims, changed as a JSON object says; null removes a claim.
func claims(t *testing.T, changes string) string {
	t.Helper()
	all := map[string]any{"iss": issuer, "aud": here, "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	if changes != "" {
		if err := json.Unmarshal([]byte(changes), &all); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range all {
		if value == nil {
			delete(all, name)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func verifier(t *testing.T, opts Options) *Verifier {
	t.Helper()
	v, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const es256 = `{"alg":"ES256","kid":"ec"}`

func TestTokensThatCount(t *testing.T) {
	v := verifier(t, standardOpts)
	for name, token := range map[string]string{
		"ES256":             sign(t, ecKey, es256, claims(t, "")),
		"RS256":             sign(t, rsaKey, `{"alg":"RS256","kid":"rsa","typ":"JWT"}`, claims(t, "")),
		"EdDSA":             sign(t, edKey, `{"alg":"EdDSA","kid":"ed"}`, claims(t, "")),
		"several audiences": sign(t, ecKey, es256, claims(t, `{"aud":["https://other.example/","`+here+`"]}`)),
		"broken seconds":    sign(t, ecKey, es256, claims(t, fmt.Sprintf(`{"exp":%d.5}`, time.Now().Unix()+60))),
		"within the leeway": sign(t, ecKey, es256, claims(t, fmt.Sprintf(`{"exp":%d,"nbf":%d}`, time.Now().Unix()-20, time.Now().Unix()+20))),
	} {
		c, err := v.Verify(t.Context(), token)
		if err != nil || c.Subject != "ann" || c.Issuer != issuer || c.Expires.IsZero() {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	c, err := v.Verify(t.Context(), sign(t, ecKey, es256, claims(t, `{"scope":"read","iat":1000,"jti":"7","nbf":2000}`)))
	if err != nil || c.ID != "7" || c.IssuedAt.Unix() != 1000 || c.NotBefore.Unix() != 2000 {
		t.Fatalf("%+v, %v", c, err)
	}
	var more struct{ Scope, SCOPE string }
	if err := c.Decode(&struct {
		Scope *string `json:"scope"`
	}{&more.Scope}); err != nil || more.Scope != "read" {
		t.Errorf("%+v, %v", more, err)
	}
}

// TestTokensThatDoNot tries the attacks of RFC 8725 and others. Each token is good except
// for the one reason to refuse it.
func TestTokensThatDoNot(t *testing.T) {
	der, _ := x509.MarshalPKIXPublicKey(rsaKey.Public())
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	embedded, _ := json.Marshal(jwk("ec", "ES256", otherKey.Public()))
	good := sign(t, ecKey, es256, claims(t, ""))
	parts := strings.Split(good, ".")
	now := time.Now().Unix()
	dates := func(format string, at int64) string { return sign(t, ecKey, es256, claims(t, fmt.Sprintf(format, at))) }
	inside := claims(t, "")[1:] // to put members before
	v := verifier(t, standardOpts)
	for name, c := range map[string]struct{ token, want string }{
		"none":                     {sign(t, nil, `{"alg":"none","kid":"ec"}`, claims(t, "")), "no signed JWT"},
		"None":                     {sign(t, nil, `{"alg":"None","kid":"ec"}`, claims(t, "")), "no signed JWT"},
		"no algorithm":             {sign(t, ecKey, `{"kid":"ec"}`, claims(t, "")), "no signed JWT"},
		"HS256 with a PEM":         {sign(t, publicPEM, `{"alg":"HS256","kid":"rsa"}`, claims(t, "")), "no signed JWT"},
		"HS256 with DER":           {sign(t, der, `{"alg":"HS256","kid":"rsa"}`, claims(t, "")), "no signed JWT"},
		"PS256 with an RS256 key":  {sign(t, rsaKey, `{"alg":"PS256","kid":"rsa"}`, claims(t, "")), "not that of its key"},
		"ES256 by name, RSA by id": {sign(t, ecKey, `{"alg":"ES256","kid":"rsa"}`, claims(t, "")), "not that of its key"},
		"another's key":            {sign(t, otherKey, es256, claims(t, "")), "signature is wrong"},
		"a key inside":             {sign(t, otherKey, `{"alg":"ES256","kid":"ec","jwk":`+string(embedded)+`}`, claims(t, "")), "signature is wrong"},
		"a key's address inside":   {sign(t, otherKey, `{"alg":"ES256","kid":"ec","jku":"https://evil.example/jwks"}`, claims(t, "")), "signature is wrong"},
		"an unknown key":           {sign(t, ecKey, `{"alg":"ES256","kid":"../../dev/null"}`, claims(t, "")), "does not publish"},
		"an injected key":          {sign(t, ecKey, `{"alg":"ES256","kid":"ec' OR 1=1 --"}`, claims(t, "")), "does not publish"},
		"no key named":             {sign(t, ecKey, `{"alg":"ES256"}`, claims(t, "")), "does not publish"},
		"a key that is no text":    {sign(t, ecKey, `{"alg":"ES256","kid":["ec"]}`, claims(t, "")), "no signed JWT"},
		"two algorithms":           {sign(t, ecKey, `{"alg":"none","alg":"ES256","kid":"ec"}`, claims(t, "")), "no signed JWT"},
		"two keys":                 {sign(t, ecKey, `{"alg":"ES256","kid":"rsa","kid":"ec"}`, claims(t, "")), "no signed JWT"},
		"extensions":               {sign(t, ecKey, `{"alg":"ES256","kid":"ec","crit":["exp"],"exp":1}`, claims(t, "")), "extensions"},
		"the b64 extension":        {sign(t, ecKey, `{"alg":"ES256","kid":"ec","crit":["b64"],"b64":true}`, claims(t, "")), "extensions"},
		"b64 without a word":       {sign(t, ecKey, `{"alg":"ES256","kid":"ec","b64":false}`, claims(t, "")), "extensions"},
		"other claims":             {parts[0] + "." + b64([]byte(claims(t, `{"sub":"bob"}`))) + "." + parts[2], "signature is wrong"},
		"no signature":             {parts[0] + "." + parts[1] + ".", "signature is wrong"},
		"half a signature":         {good[:len(good)-43], "signature is wrong"},
		"a null signature":         {parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), "signature is wrong"},
		"two parts":                {parts[0] + "." + parts[1], "no signed JWT"},
		"four parts":               {good + ".x", "no signed JWT"},
		"JSON":                     {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "no signed JWT"},
		"encrypted":                {"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..a.b.c", "no signed JWT"},
		"empty":                    {"", "no signed JWT"},
		"huge":                     {sign(t, ecKey, es256, claims(t, `{"x":"`+strings.Repeat("x", 9<<10)+`"}`)), "8 KiB"},
		"deep":                     {sign(t, ecKey, es256, strings.Repeat("[", 4000)), "cannot be read"},
		"no object":                {sign(t, ecKey, es256, `["iss"]`), "cannot be read"},
		"trailing bytes":           {sign(t, ecKey, es256, claims(t, "")+"{}"), "cannot be read"},
		"expired":                  {dates(`{"exp":%d}`, now-31), "has expired"},
		"expired long ago":         {dates(`{"exp":%d}`, 1), "has expired"},
		"expiry as text":           {sign(t, ecKey, es256, claims(t, `{"exp":"9999999999"}`)), "cannot be read"},
		"no expiry":                {sign(t, ecKey, es256, claims(t, `{"exp":null}`)), "never expires"},
		"a null expiry":            {sign(t, ecKey, es256, strings.Replace(claims(t, `{"exp":0}`), `"exp":0`, `"exp":null`, 1)), "never expires"},
		"expiry 0":                 {dates(`{"exp":%d}`, 0), "out of range"},
		"a negative expiry":        {dates(`{"exp":%d}`, -1), "out of range"},
		"beyond all clocks":        {sign(t, ecKey, es256, claims(t, `{"exp":1e30}`)), "out of range"},
		"beyond all numbers":       {sign(t, ecKey, es256, `{"exp":1e999,`+inside), "cannot be read"},
		"in other letters":         {sign(t, ecKey, es256, claims(t, `{"exp":null,"EXP":9999999999}`)), "never expires"},
		"not yet":                  {dates(`{"nbf":%d}`, now+60), "not valid yet"},
		"another audience":         {sign(t, ecKey, es256, claims(t, `{"aud":"https://chat.example"}`)), "another audience"},
		"other audiences":          {sign(t, ecKey, es256, claims(t, `{"aud":["a","b"]}`)), "another audience"},
		"no audience":              {sign(t, ecKey, es256, claims(t, `{"aud":null}`)), "another audience"},
		"an empty audience":        {sign(t, ecKey, es256, claims(t, `{"aud":[]}`)), "another audience"},
		"an audience object":       {sign(t, ecKey, es256, claims(t, `{"aud":{"x":"`+here+`"}}`)), "cannot be read"},
		"another issuer":           {sign(t, ecKey, es256, claims(t, `{"iss":"https://login.example"}`)), "another issuer"},
		"no issuer":                {sign(t, ecKey, es256, claims(t, `{"iss":null}`)), "another issuer"},
		"no subject":               {sign(t, ecKey, es256, claims(t, `{"sub":null}`)), "no subject"},
		"two audiences":            {sign(t, ecKey, es256, `{"aud":"https://other.example/",`+inside), "cannot be read"},
		"two subjects":             {sign(t, ecKey, es256, `{"sub":"bob",`+inside), "cannot be read"},
		"two of something else":    {sign(t, ecKey, es256, `{"role":"a","role":"b",`+inside), "cannot be read"},
		"two further down":         {sign(t, ecKey, es256, `{"x":[{"role":"a","role":"b"}],`+inside), "cannot be read"},
	} {
		got, err := v.Verify(t.Context(), c.token)
		if err == nil || got != nil || !errors.Is(err, transport.ErrUnauthorized) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct{ token, want string }{
		"another's key": {sign(t, otherKey, es256, claims(t, "")), "jwtauth: token: its signature is wrong: unauthorized"},
		"expired":       {dates(`{"exp":%d}`, now-31), "jwtauth: token: it has expired: unauthorized"},
	} {
		if _, err := v.Verify(t.Context(), c.token); err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestType(t *testing.T) {
	opts := standardOpts
	opts.Type = "at+jwt"
	v := verifier(t, opts)
	for typ, ok := range map[string]bool{`"at+jwt"`: true, `"AT+JWT"`: true, `"application/at+jwt"`: true, `"JWT"`: false, `""`: false, `7`: false} {
		_, err := v.Verify(t.Context(), sign(t, ecKey, `{"alg":"ES256","kid":"ec","typ":`+typ+`}`, claims(t, "")))
		if ok != (err == nil) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := standardOpts
		opts.Leeway = -1
		strict, lenient := verifier(t, opts), verifier(t, standardOpts)
		now := time.Now().Unix()
		token := sign(t, ecKey, es256, claims(t, fmt.Sprintf(`{"nbf":%d,"exp":%d}`, now+60, now+120)))
		for _, c := range []struct {
			at             time.Duration
			strict, leeway bool
		}{{0, false, false}, {29, false, false}, {30, false, true}, {59, false, true}, {60, true, true}, {119, true, true}, {120, false, true}, {149, false, true}, {150, false, false}} {
			time.Sleep(time.Until(time.Unix(now, 0).Add(c.at * time.Second)))
			if _, err := strict.Verify(t.Context(), token); c.strict != (err == nil) {
				t.Errorf("after %d seconds: %v", c.at, err)
			}
			if _, err := lenient.Verify(t.Context(), token); c.leeway != (err == nil) {
				t.Errorf("after %d seconds, with leeway: %v", c.at, err)
			}
		}
	})
}

func TestKeysThatAreNoGood(t *testing.T) {
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	encryption := jwk("x", "", ecKey.Public())
	encryption.Use = "enc"
	many := make([]jose.JSONWebKey, 101)
	for i := range many {
		many[i] = jwk(fmt.Sprint(i), "", ecKey.Public())
	}
	for name, keys := range map[string][]byte{
		"a secret":            jwks(jwk("x", "HS256", []byte("0123456789abcdef0123456789abcdef"))),
		"a public key as one": jwks(jwk("x", "HS256", ecKey.Public())),
		"a private key":       jwks(jwk("x", "ES256", ecKey)),
		"a small RSA key":     jwks(jwk("x", "RS256", weak.Public())),
		"for encryption":      jwks(encryption),
		"another algorithm":   jwks(jwk("x", "ES384", ecKey.Public())),
		"none":                jwks(jwk("x", "none", ecKey.Public())),
		"two of one name":     jwks(jwk("x", "", ecKey.Public()), jwk("x", "", otherKey.Public())),
		"three of one name":   jwks(jwk("x", "", ecKey.Public()), jwk("x", "", otherKey.Public()), jwk("x", "", edKey.Public())),
		"no keys":             jwks(),
		"too many":            jwks(many...),
		"garbage":             []byte("<html>"),
		"nothing":             {},
	} {
		if set, err := parseSet(keys, algorithms); err == nil {
			t.Errorf("%s: %+v", name, set)
		}
		opts := standardOpts
		opts.Keys = keys
		if _, err := New(opts); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	mixed := bytes.Replace(published, []byte(`{"keys":[`), []byte(`{"keys":[{"kty":"QUANTUM","kid":"q"},7,{"kty":"EC","kid":"bad","crv":"P-256","x":"AA","y":"AA"},`), 1)
	if set, err := parseSet(mixed, algorithms); err != nil || len(set) != 3 {
		t.Errorf("beside others: %+v, %v", set, err)
	}
}

func TestAlgorithmsArePinned(t *testing.T) {
	keys := jwks(jwk("", "", rsaKey.Public()))
	for _, c := range []struct {
		allowed []string
		token   string
		ok      bool
	}{
		{nil, `{"alg":"RS256"}`, true},
		{nil, `{"alg":"PS256"}`, false},
		{[]string{"PS256", "RS256"}, `{"alg":"PS256"}`, true},
		{[]string{"PS256", "RS256"}, `{"alg":"RS256"}`, false},
	} {
		v := verifier(t, Options{Issuer: issuer, Audience: here, Keys: keys, Algorithms: c.allowed})
		if _, err := v.Verify(t.Context(), sign(t, rsaKey, c.token, claims(t, ""))); c.ok != (err == nil) {
			t.Errorf("%v, %s: %v", c.allowed, c.token, err)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"issuer":     func(o *Options) { o.Issuer = "" },
		"audience":   func(o *Options) { o.Audience = "" },
		"no keys":    func(o *Options) { o.Keys = nil },
		"two of":     func(o *Options) { o.URL = "https://login.example/jwks" },
		"http":       func(o *Options) { o.Keys, o.URL = nil, "http://login.example/jwks" },
		"a file":     func(o *Options) { o.Keys, o.URL = nil, "file:///etc/jwks" },
		"no host":    func(o *Options) { o.Keys, o.URL = nil, "https:///jwks" },
		"a user":     func(o *Options) { o.Keys, o.URL = nil, "https://s3cr3t@login.example/jwks" },
		"HS256":      func(o *Options) { o.Algorithms = []string{"HS256"} },
		"none":       func(o *Options) { o.Algorithms = []string{"none"} },
		"no algs":    func(o *Options) { o.Keys, o.URL, o.Algorithms = nil, "https://login.example/", []string{} },
		"leeway":     func(o *Options) { o.Leeway = time.Hour },
		"refreshing": func(o *Options) { o.Refresh = -1 },
	} {
		opts := standardOpts
		change(&opts)
		if _, err := New(opts); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A remote is an issuer's server without a network.
type remote struct {
	answer func(*http.Request) (*http.Response, error)
	asked  atomic.Int32
}

func (r *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked.Add(1)
	return r.answer(req)
}

func answering(status int, body []byte) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}, nil
	}
}

func fetching(t *testing.T, r *remote) *Verifier {
	return verifier(t, Options{Issuer: issuer, Audience: here, URL: "https://login.example/jwks?key=s3cr3t", Client: &http.Client{Transport: r}})
}

func TestKeysAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, published)}
		v := fetching(t, r)
		token := func() string { return sign(t, ecKey, es256, claims(t, "")) }
		must := func(fetches int32) {
			t.Helper()
			if _, err := v.Verify(t.Context(), token()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := r.asked.Load(); got != fetches {
				t.Fatalf("fetched %d times, want %d", got, fetches)
			}
		}
		must(1)
		time.Sleep(defaultRefresh - time.Second)
		must(1)
		time.Sleep(2 * time.Second)
		must(2) // beside the token, which does not wait
		must(2)

		r.answer = answering(500, nil) // the old ones stay good
		time.Sleep(defaultRefresh + time.Second)
		must(3)
		time.Sleep(pause - time.Second)
		must(3)
		time.Sleep(time.Second)
		must(4)

		time.Sleep(maxAge)
		_, err := v.Verify(t.Context(), token())
		if err == nil || errors.Is(err, transport.ErrUnauthorized) || !strings.Contains(err.Error(), "answers 500") {
			t.Errorf("after a day: %v", err)
		}
		r.answer = answering(200, published)
		time.Sleep(pause)
		if _, err := v.Verify(t.Context(), token()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

func TestUnknownKeysAreFetchedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: answering(200, published)}
		v := fetching(t, r)
		unknown := func() error {
			_, err := v.Verify(t.Context(), sign(t, otherKey, `{"alg":"ES256","kid":"new"}`, claims(t, "")))
			return err
		}
		for range 1000 { // a stranger's flood
			if err := unknown(); !errors.Is(err, transport.ErrUnauthorized) {
				t.Fatal(err)
			}
		}
		if got := r.asked.Load(); got != burst {
			t.Errorf("fetched %d times", got)
		}
		r.answer = answering(200, jwks(jwk("ec", "", ecKey.Public()), jwk("new", "", otherKey.Public())))
		time.Sleep(pause)
		if err := unknown(); err != nil {
			t.Errorf("a new key: %v", err)
		}
		if got := r.asked.Load(); got != burst+1 {
			t.Errorf("fetched %d times", got)
		}
		// The issuer has withdrawn a key.
		r.answer = answering(200, published)
		time.Sleep(defaultRefresh)
		unknown() // starts the fetch
		synctest.Wait()
		if err := unknown(); !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("a key that was withdrawn: %v", err)
		}
	})
}

// TestOneFetchServesAll lets many wait for one fetch. A waiter that gives up does not end it
// for the others.
func TestOneFetchServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(req *http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second)
			return answering(200, published)(req)
		}}
		v := fetching(t, r)
		token := sign(t, ecKey, es256, claims(t, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Verify(ctx, token); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
		errs := make(chan error, 50)
		for range cap(errs) {
			go func() { _, err := v.Verify(t.Context(), token); errs <- err }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if got := r.asked.Load(); got != 1 {
			t.Errorf("fetched %d times", got)
		}
	})
}

// A trickle never ends.
type trickle struct{ ctx context.Context }

func (s trickle) Read(b []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(time.Second):
	}
	b[0] = ' '
	return 1, nil
}

func TestAnIssuerThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		want   string
	}{
		"garbage":  {answering(200, []byte("<html>")), "no JWK Set"},
		"no keys":  {answering(200, []byte(`{"keys":[]}`)), "no key in it signs"},
		"huge":     {answering(200, bytes.Repeat([]byte(" "), maxSet+1)), "more than 256 KiB"},
		"404":      {answering(404, published), "answers 404"},
		"redirect": {answering(302, published), "redirects, which is refused"},
		"slow":     {func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, "deadline exceeded"},
		"trickles": {func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(trickle{r.Context()}), Header: http.Header{}}, nil
		}, "deadline exceeded"},
		"refuses": {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection \x1b[2J refused") }, `connection \x1b[2J refused`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := fetching(t, &remote{answer: c.answer})
				began := time.Now()
				_, err := v.Verify(t.Context(), sign(t, ecKey, es256, claims(t, "")))
				if err == nil || errors.Is(err, transport.ErrUnauthorized) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
				if text := fmt.Sprint(err); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\n") {
					t.Errorf("the error shows too much: %s", text)
				}
				if took := time.Since(began); took > fetchTimeout {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestOverSockets uses a real issuer, a redirect of that issuer, and a real connection.
func TestOverSockets(t *testing.T) {
	var visited atomic.Bool
	login := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			w.Write(published)
		case "/elsewhere":
			visited.Store(true)
			w.Write(published)
		default:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	defer login.Close()
	defer login.Client().CloseIdleConnections()
	guard := func(path string) string {
		v := verifier(t, Options{Issuer: issuer, Audience: here, URL: login.URL + path, Client: login.Client()})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development, Authenticate: v.Authenticate})
			if err != nil {
				if strings.Contains(err.Error(), "eyJ") {
					t.Errorf("the error holds the token: %v", err)
				}
				return
			}
			if c, ok := transport.GrantOf(conn).Claims.(*Claims); !ok || c.Subject != conn.Info().Principal || conn.Info().Expires != c.Expires.Add(defaultLeeway) {
				t.Errorf("got %+v, %+v", c, conn.Info())
			}
			conn.Close(transport.CodeNormal, conn.Info().Principal)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct {
		path, token string
		status      int
	}{
		"good":          {"/jwks", sign(t, ecKey, es256, claims(t, "")), 101},
		"another's key": {"/jwks", sign(t, otherKey, es256, claims(t, "")), 401},
		"no token":      {"/jwks", "", 401},
		"redirect":      {"/redirects", sign(t, ecKey, es256, claims(t, "")), 503},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if c.token != "" {
				h.Set("Authorization", "Bearer "+c.token)
			}
			ws, resp, err := websocket.Dial(t.Context(), guard(c.path), &websocket.DialOptions{HTTPHeader: h, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
			if resp == nil || resp.StatusCode != c.status {
				t.Fatalf("got %+v, %v", resp, err)
			}
			if err == nil {
				_, _, err = ws.Read(t.Context())
				if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Reason != "ann" {
					t.Errorf("got %v", err)
				}
				ws.CloseNow()
			}
		})
	}
	if visited.Load() {
		t.Error("the redirect was followed")
	}
}

func FuzzVerify(f *testing.F) {
	v, err := New(standardOpts)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"alg":"ES256","kid":"ec"}`, `{"iss":"https://login.example/","aud":"https://chat.example/","sub":"ann","exp":9999999999}`)
	f.Add(`{"alg":"none"}`, `{"aud":["a"],"exp":1e30,"nbf":-1}`)
	f.Add(`{"crit":["b64"],"b64":false,"alg":"EdDSA","jwk":{}}`, `[[[[`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		// A key's owner may write anything, and nobody else gets in with it.
		if _, err := v.Verify(t.Context(), b64([]byte(header))+"."+b64([]byte(claims))+"."+b64(make([]byte, 64))); err == nil {
			t.Fatalf("%q %q counts", header, claims)
		}
		c, err := v.checkClaims([]byte(claims), time.Unix(2e9, 0))
		if err == nil && (c.Subject == "" || c.Issuer != issuer || c.Expires.Unix() < 2e9-30 || c.Expires.Year() > 9999) {
			t.Fatalf("%q gives %+v", claims, c)
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add(published)
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := parseSet(b, algorithms)
		for _, k := range set {
			if !fits(k.public, k.algorithm) || err != nil {
				t.Fatalf("%q gives %+v, %v", b, set, err)
			}
		}
	})
}
