package vaulttest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/core/registry"

	"github.com/hopseal/hopseal/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const token = "hvs.CAESIPlantedTokenThatNoErrorMayShow"

// A vault speaks the part of Vault's HTTP API that wraps keys: encrypt and decrypt of the transit
// engine, with associated data. It accepts one token.
// https://developer.hashicorp.com/vault/api-docs/secret/transit
type vault struct {
	*httptest.Server
	mu    sync.Mutex
	aeads map[string]cipher.AEAD
	saw   [][]byte // plaintexts that it wrapped
	aads  []string
	// answer, if not nil, takes the place of the service.
	answer http.HandlerFunc
}

func newVault(t *testing.T, keyNames ...string) *vault {
	t.Helper()
	v := &vault{aeads: make(map[string]cipher.AEAD)}
	for _, name := range keyNames {
		v.replaceKey(name)
	}
	v.Server = httptest.NewTLSServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vault) replaceKey(name string) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.aeads[name], err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
}

func (v *vault) answerWith(f http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = f
}

type transitRequest struct {
	Plaintext      []byte `json:"plaintext"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData []byte `json:"associated_data"`
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	answer := v.answer
	v.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if r.Header.Get("X-Vault-Token") != token {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	var q transitRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(path) != 2 || r.Method != http.MethodPut {
		refuse(w, http.StatusBadRequest, "malformed request")
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	aead, ok := v.aeads[path[1]]
	if !ok {
		refuse(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	switch path[0] {
	case "encrypt":
		v.encrypt(w, aead, q)
	case "decrypt":
		decrypt(w, aead, q)
	default:
		refuse(w, http.StatusNotFound, "no such endpoint")
	}
}

const ciphertextPrefix = "vault:v1:"

func (v *vault) encrypt(w http.ResponseWriter, aead cipher.AEAD, q transitRequest) {
	v.saw = append(v.saw, q.Plaintext)
	v.aads = append(v.aads, string(q.AssociatedData))
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	sealed := aead.Seal(nonce, nonce, q.Plaintext, q.AssociatedData)
	reply(w, map[string]any{"ciphertext": ciphertextPrefix + base64.StdEncoding.EncodeToString(sealed)})
}

func decrypt(w http.ResponseWriter, aead cipher.AEAD, q transitRequest) {
	sealed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(q.Ciphertext, ciphertextPrefix))
	if err != nil || len(sealed) < aead.NonceSize() {
		refuse(w, http.StatusBadRequest, "invalid ciphertext")
		return
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], q.AssociatedData)
	if err != nil {
		refuse(w, http.StatusBadRequest, "cipher: message authentication failed")
		return
	}
	reply(w, map[string]any{"plaintext": plain})
}

func reply(w http.ResponseWriter, data map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
}

// uri returns the URI by which Tink's client names a key.
func (v *vault) uri(key string) string {
	return "hcvault://" + strings.TrimPrefix(v.URL, "https://") + "/transit/keys/" + key
}

// client returns Tink's client for the service, over TLS, with the token.
func (v *vault) client(t *testing.T, token string) registry.KMSClient {
	t.Helper()
	httpClient := v.Server.Client()
	t.Cleanup(httpClient.CloseIdleConnections)
	c, err := api.NewClient(&api.Config{Address: v.URL, HttpClient: httpClient})
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(token)
	kms, err := hcvault.NewClientWithAEADOptions(v.uri(""), c.Logical())
	if err != nil {
		t.Fatal(err)
	}
	return kms
}

// The service in this test is what the one in the tests of stores stands for: it
// checks tokens, keys and associated data.
func TestTheServiceItself(t *testing.T) {
	v := newVault(t, "stores", "others")
	ours, _ := v.client(t, token).GetAEAD(v.uri("stores"))
	others, _ := v.client(t, token).GetAEAD(v.uri("others"))
	denied, _ := v.client(t, "another token").GetAEAD(v.uri("stores"))
	wrapped, err := ours.Encrypt([]byte("key"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ours.Decrypt(wrapped, []byte("aad")); err != nil || !bytes.Equal(got, []byte("key")) {
		t.Errorf("%q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"associated data": func() ([]byte, error) { return ours.Decrypt(wrapped, []byte("other")) },
		"key":             func() ([]byte, error) { return others.Decrypt(wrapped, []byte("aad")) },
		"token":           func() ([]byte, error) { return denied.Decrypt(wrapped, []byte("aad")) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("another %s: opened", name)
		}
	}
}
