//go:build !js

package p12_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport/p12"
)

func TestParse(t *testing.T) {
	root := pki.Root()
	middle := pki.Issue("middle", root, pki.CA)
	own := pki.Issue("me", middle)
	leaf, key := own.Cert, own.Key
	for name, encoder := range map[string]*pkcs12.Encoder{"RC2": pkcs12.LegacyRC2, "DES": pkcs12.LegacyDES, "2023": pkcs12.Modern2023, "2026": pkcs12.Modern2026} {
		data, err := encoder.Encode(key, leaf, []*x509.Certificate{root.Cert, middle.Cert}, "s3cr3t")
		if err != nil {
			t.Fatal(err)
		}
		pair, err := p12.Parse(data, "s3cr3t")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(pair.Certificate) != 2 || !bytes.Equal(pair.Certificate[0], leaf.Raw) || !bytes.Equal(pair.Certificate[1], middle.Cert.Raw) {
			t.Errorf("%s: %d certificates, leaf %v", name, len(pair.Certificate), pair.Leaf.Subject)
		}
		if !key.Equal(pair.PrivateKey) {
			t.Errorf("%s: another key", name)
		}
		for _, wrong := range []string{"", "S3cr3t", "s3cr3t "} {
			if _, err := p12.Parse(data, wrong); !errors.Is(err, p12.ErrPassword) || strings.Contains(err.Error(), "cr3t") {
				t.Errorf("%s, %q: %v", name, wrong, err)
			}
		}
		for i := range data {
			if _, err := p12.Parse(data[:i], "s3cr3t"); err == nil {
				t.Fatalf("%s: the first %d of %d bytes are taken", name, i, len(data))
			}
		}
	}
}

func TestParseFindsTheKeysCertificate(t *testing.T) {
	root := pki.Root()
	middle := pki.Issue("middle", root, pki.CA)
	own := pki.Issue("me", middle)
	leaf, key := own.Cert, own.Key
	data, err := pkcs12.Modern2023.Encode(key, middle.Cert, []*x509.Certificate{leaf}, "")
	if err != nil {
		t.Skipf("the encoder refuses it: %v", err)
	}
	pair, err := p12.Parse(data, "")
	if err != nil || !pair.Leaf.Equal(leaf) || len(pair.Certificate) != 2 {
		t.Errorf("%v, %v", pair.Leaf, err)
	}
	if data, err = pkcs12.Modern2023.Encode(key, middle.Cert, nil, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p12.Parse(data, ""); err == nil || !strings.Contains(err.Error(), "none of the certificates") {
		t.Errorf("a key without its certificate: %v", err)
	}
}

// TestLoadReadsWhatOpenSSLWrites loads a file that another program made.
func TestLoadReadsWhatOpenSSLWrites(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=me", "-keyout", "key.pem", "-out", "cert.pem")
	run("pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-passout", "pass:s3cr3t", "-out", "me.p12")
	pair, err := p12.Load(filepath.Join(dir, "me.p12"), "s3cr3t")
	if err != nil || pair.Leaf.Subject.CommonName != "me" {
		t.Fatalf("%+v, %v", pair.Leaf, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := p12.Load(filepath.Join(dir, "missing"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for name, data := range map[string][]byte{"empty": nil, "PEM": []byte("-----BEGIN CERTIFICATE-----"), "large": make([]byte, p12.MaxSize+1)} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p12.Load(file, ""); err == nil || !strings.HasPrefix(err.Error(), "p12: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	root := pki.Root()
	data, err := pkcs12.LegacyDES.WithIterations(1).Encode(root.Key, root.Cert, nil, "pw")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	der, _ := base64.StdEncoding.DecodeString("MAOCAQM=")
	f.Add(der)
	f.Fuzz(func(t *testing.T, data []byte) {
		if pair, err := p12.Parse(data, "pw"); err == nil && (pair.Leaf == nil || len(pair.Certificate) == 0) {
			t.Error("no certificate and no error")
		}
	})
}
