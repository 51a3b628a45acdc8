package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// under returns a store's secret: a key of the service, with a token that the service accepts.
func (v *vault) under(t *testing.T, key string) keystore.Secret {
	return keystore.KMS(v.client(t, token), v.uri(key))
}

func newStore(t *testing.T, v *vault) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "billing.store")
	id, err := keys.GenerateIdentity("billing")
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Create(t.Context(), path, v.under(t, "stores"), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// The key of a store never leaves the service. The store is made, changed, read by another process,
// and opened again.
func TestStoreUnderVault(t *testing.T) {
	v := newVault(t, "stores")
	path := newStore(t, v)
	s, err := keystore.Open(t.Context(), path, v.under(t, "stores"))
	if err != nil {
		t.Fatal(err)
	}
	replica, err := keystore.OpenReplica(t.Context(), path, v.under(t, "stores"))
	if err != nil {
		t.Fatal(err)
	}
	pending, err := s.Add(keystore.KeyRef{Use: keys.UseSigning})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(keystore.KeyRef{Use: keys.UseSigning, TinkID: pending}); err != nil {
		t.Fatal(err)
	}
	want := s.Identity().Public()
	if changed, err := replica.Refresh(t.Context()); err != nil || !changed || !replica.Identity().Public().Equal(want) {
		t.Errorf("the replica: %v, %v", changed, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := keystore.Open(t.Context(), path, v.under(t, "stores"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !again.Identity().Public().Equal(want) {
		t.Error("another identity came back")
	}
	holdToWhatVaultSaw(t, v, path)
}

// holdToWhatVaultSaw checks that the service wrapped one key, bound to the URI of the service's key,
// and that the wrapped key is nowhere on disk.
func holdToWhatVaultSaw(t *testing.T, v *vault, path string) {
	t.Helper()
	if len(v.saw) != 1 || len(v.saw[0]) != 32 || !strings.HasSuffix(v.aads[0], v.uri("stores")) ||
		!strings.HasPrefix(v.aads[0], "hopseal/1 ") {
		t.Fatalf("%d keys were wrapped, for %q", len(v.saw), v.aads)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, v.saw[0]) || bytes.Contains(file, []byte(token)) {
		t.Error("the master key or the token stands in the file")
	}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// For each failure of the service the error says in one line what failed and what to do. It shows no
// token, and the store stays as it was.
func TestErrorsOfTheService(t *testing.T) {
	v := newVault(t, "stores", "others")
	gone := newVault(t, "stores")
	path, pathGone := newStore(t, v), newStore(t, gone)
	gone.Close()
	zeros := strings.Repeat("A", 43) + "=" // 32 bytes, another key
	for name, c := range map[string]struct {
		path   string
		secret func() keystore.Secret
		answer http.HandlerFunc
		says   string
	}{
		"unreachable":        {pathGone, func() keystore.Secret { return gone.under(t, "stores") }, nil, "connection refused"},
		"denied":             {path, func() keystore.Secret { return keystore.KMS(v.client(t, "hvs.AnotherToken"), v.uri("stores")) }, nil, "permission denied"},
		"another key's URI":  {path, func() keystore.Secret { return v.under(t, "others") }, nil, "another key URI"},
		"another scheme":     {path, func() keystore.Secret { return keystore.KMS(v.client(t, token), "gcp-kms://x") }, nil, "another key URI"},
		"not a service":      {path, nil, answer(200, "<html>\n\x1b[31mWelcome"), ""},
		"nothing":            {path, nil, answer(204, ""), "a key of 0 bytes"},
		"not a key":          {path, nil, answer(200, `{"data":{"plaintext":5}}`), "invalid plaintext"},
		"not base64":         {path, nil, answer(200, `{"data":{"plaintext":"\u001b[31m"}}`), "base64"},
		"a short key":        {path, nil, answer(200, `{"data":{"plaintext":"a2V5"}}`), "a key of 3 bytes"},
		"another master key": {path, nil, answer(200, `{"data":{"plaintext":"`+zeros+`"}}`), "another key than the store's"},
		"out of order":       {path, nil, answer(500, `{"errors":["internal\nerror"]}`), "500"},
		"sealed":             {path, nil, answer(503, `{"errors":["Vault is sealed"]}`), "Vault is sealed"},
		"long-winded":        {path, nil, answer(400, `{"errors":["`+strings.Repeat("x", 1<<16)+`"]}`), "xxx"},
		"drops connections":  {path, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			v.answerWith(c.answer)
			defer v.answerWith(nil)
			secret := v.under(t, "stores")
			if c.secret != nil {
				secret = c.secret()
			}
			before, _ := os.ReadFile(c.path)
			_, err := keystore.Open(t.Context(), c.path, secret)
			check(t, err, c.says)
			if _, err := keystore.OpenReplica(t.Context(), c.path, secret); !errors.Is(err, keystore.ErrKMS) {
				t.Errorf("a reader: %v", err)
			}
			if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
				t.Error("the store changed")
			}
		})
	}
	if s, err := keystore.Open(t.Context(), path, v.under(t, "stores")); err != nil {
		t.Errorf("once the service is well again: %v", err)
	} else {
		s.Close()
	}
}

// check checks that an error has what every error of a service must have.
func check(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, keystore.ErrKMS) || errors.Is(err, keystore.ErrPassphrase) {
		t.Fatalf("not an error of the service: %v", err)
	}
	text := err.Error()
	if !strings.Contains(text, says) || !strings.Contains(text, "hcvault://") && !strings.Contains(text, "gcp-kms://") ||
		!strings.Contains(text, "check that it is reachable, that it lets you use this key") {
		t.Errorf("does not say what failed and what to do: %v", err)
	}
	if strings.ContainsAny(text, "\n\x1b") || len(text) > 1000 {
		t.Errorf("not one line to show: %q", text)
	}
	if strings.Contains(text, "hvs.") {
		t.Errorf("shows a token: %v", err)
	}
}

// The service has deleted the key and made another one under its name: the URI is the same and the
// key another.
func TestReplacedKey(t *testing.T) {
	v := newVault(t, "stores")
	path := newStore(t, v)
	v.replaceKey("stores")
	_, err := keystore.Open(t.Context(), path, v.under(t, "stores"))
	check(t, err, "message authentication failed")
}

func TestSlowServiceAndDeadline(t *testing.T) {
	v := newVault(t, "stores")
	path := newStore(t, v)
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	v.answerWith(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := keystore.Open(ctx, path, v.under(t, "stores"))
	check(t, err, "deadline exceeded")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if waited := time.Since(start); waited > 5*time.Second {
		t.Errorf("waited %v", waited)
	}
	<-asked
	close(release)
	v.answerWith(nil)
	s, err := keystore.Open(t.Context(), path, v.under(t, "stores")) // the lock was released
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// Create makes no store if the service does not wrap its key.
func TestCreateNeedsTheService(t *testing.T) {
	v := newVault(t, "stores")
	id, err := keys.GenerateIdentity("billing")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key, token, says string
		answer           http.HandlerFunc
	}{
		"no such key":       {"none", token, "encryption key not found", nil},
		"denied":            {"stores", "hvs.AnotherToken", "permission denied", nil},
		"no ciphertext":     {"stores", token, "no ciphertext", answer(200, `{"data":{}}`)},
		"a huge ciphertext": {"stores", token, "wrapped 32 bytes to 65536", answer(200, `{"data":{"ciphertext":"`+strings.Repeat("x", 1<<16)+`"}}`)},
	} {
		v.answerWith(c.answer)
		path := filepath.Join(t.TempDir(), "billing.store")
		_, err := keystore.Create(t.Context(), path, keystore.KMS(v.client(t, c.token), v.uri(c.key)), id)
		check(t, err, c.says)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file was left: %v", name, err)
		}
	}
	v.answerWith(nil)
	_, err = keystore.Create(t.Context(), filepath.Join(t.TempDir(), "s"), keystore.KMS(v.client(t, token), "gcp-kms://x"), id)
	check(t, err, "does not support")
}
