//go:build !js

package servertls

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"
)

// badPairs are files that no client would accept or that are incomplete, each with the
// text that the error must contain.
func badPairs(ca *authority) map[string]struct {
	pair issued
	text string
} {
	type bad = struct {
		pair issued
		text string
	}
	good, other := ca.issue(nil), ca.issue(nil)
	chain := append(bytes.Clone(good.cert), ca.pem()...)
	out := map[string]bad{
		"another key":        {issued{cert: good.cert, key: other.key}, "private key does not match public key"},
		"half a certificate": {issued{cert: good.cert[:len(good.cert)/2], key: good.key}, "the file of the certificate ends within a PEM block: it has not been written whole"},
		"half a chain":       {issued{cert: chain[:len(chain)-40], key: good.key}, "the file of the certificate ends within a PEM block: it has not been written whole"},
		"half a key":         {issued{cert: good.cert, key: good.key[:len(good.key)/2]}, "the file of the key ends within a PEM block: it has not been written whole"},
		"empty certificate":  {issued{key: good.key}, "failed to find any PEM data in certificate input"},
		"empty key":          {issued{cert: good.cert}, "failed to find any PEM data in key input"},
		"swapped":            {issued{cert: good.key, key: good.cert}, "certificate"},
		"too long":           {issued{cert: make([]byte, maxFile+1), key: good.key}, "has more than 1 MiB"},
	}
	add := func(name string, change func(*x509.Certificate), text string) {
		out[name] = bad{*ca.issue(change), text}
	}
	now := time.Now()
	add("expired", func(t *x509.Certificate) { t.NotAfter = now.Add(-time.Minute) }, "the certificate expired on "+day(now.Add(-time.Minute))+": renew it")
	add("not yet valid", func(t *x509.Certificate) { t.NotBefore = now.Add(time.Hour) }, "the certificate is not valid before "+day(now.Add(time.Hour))+", and here it is")
	add("for clients", func(t *x509.Certificate) { t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "the certificate is not for servers: its extended key usage lacks serverAuth")
	add("another name", named("www.example.com", "evil\x1b[2J.example"), `the certificate is for www.example.com, evil\x1b[2J.example, not for localhost`)
	add("no name", named(), "the certificate is for no name that counts (a common name does not), not for localhost")
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	out["small RSA"] = bad{*ca.certify(small, nil), "the certificate's RSA key has 1024 bits: use 2048 or more, or ECDSA"}
	return out
}

func TestABadPairIsRefusedAndTheOldOneStays(t *testing.T) {
	ca := newAuthority()
	for name, bad := range badPairs(ca) {
		t.Run(name, func(t *testing.T) {
			files, good := newFolder(t), ca.issue(nil)
			pair := files.put(good)
			pair.Names = []string{"localhost", "127.0.0.1"}
			var events []Event
			w := watch(t, Options{Pairs: []Pair{pair}, Notify: func(e Event) { events = append(events, e) }})
			address := serve(t, w.TLSConfig())

			files.put(&bad.pair)
			err := w.Reload()
			if err == nil || !strings.Contains(err.Error(), bad.text) || !strings.HasPrefix(err.Error(), "servertls: "+pair.Cert+" with "+pair.Key+": ") {
				t.Errorf("error %v lacks %q", err, bad.text)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error is not one line of safe text: %q", err)
			}
			if len(events) != 2 || events[0].Kind != Loaded || events[1].Kind != Refused || events[1].Err.Error() != err.Error() {
				t.Errorf("events %v", events)
			}
			if s, err := visit(address, &tls.Config{RootCAs: ca.pool()}); err != nil || serialOf(s) != good.serial {
				t.Errorf("after that a client saw serial %d, error %v", serialOf(s), err)
			}
			if _, err := Watch(Options{Pairs: []Pair{pair}, Logger: quiet}); err == nil || !strings.Contains(err.Error(), bad.text) {
				t.Errorf("a start gave %v", err)
			}

			better := ca.issue(nil)
			files.put(better)
			if err := w.Reload(); err != nil {
				t.Fatal(err)
			}
			if s, err := visit(address, &tls.Config{RootCAs: ca.pool()}); err != nil || serialOf(s) != better.serial {
				t.Errorf("the next good one: serial %d, error %v", serialOf(s), err)
			}
		})
	}
}

func TestErrorsShowNothingOfAKey(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	good := ca.issue(nil)
	pair := files.put(&issued{cert: good.key, key: good.key})
	_, err := Watch(Options{Pairs: []Pair{pair}, Logger: quiet})
	if err == nil {
		t.Fatal("a key was taken for a certificate")
	}
	for _, line := range strings.Split(string(good.key), "\n")[1:3] {
		if len(line) > 8 && strings.Contains(err.Error(), line[:8]) {
			t.Errorf("%v shows the key", err)
		}
	}
}

func TestFilesThatAreNoFiles(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	pair := files.put(ca.issue(nil))
	for want, bad := range map[string]Pair{
		"no such file":            {Cert: files.file("missing"), Key: pair.Key},
		"is not a regular file":   {Cert: string(files), Key: pair.Key},
		"stat : no such file":     {Cert: "", Key: pair.Key},
		"too many levels of symb": {Cert: loop(t, files), Key: pair.Key},
	} {
		if _, err := Watch(Options{Pairs: []Pair{bad}, Logger: quiet}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func loop(t *testing.T, f folder) string {
	if err := os.Symlink("loop", f.file("loop")); err != nil {
		t.Fatal(err)
	}
	return f.file("loop")
}

func TestOnePairThatIsBadDoesNotKeepTheOthers(t *testing.T) {
	ca, first, second := newAuthority(), newFolder(t), newFolder(t)
	one, two := ca.issue(named("one.example")), ca.issue(named("two.example", "*.two.example"))
	w := watch(t, Options{Pairs: []Pair{first.put(one), second.put(two)}})
	address := serve(t, w.TLSConfig())
	check := func(name string, want int64) {
		t.Helper()
		if s, err := visit(address, &tls.Config{RootCAs: ca.pool(), ServerName: name}); err != nil || serialOf(s) != want {
			t.Errorf("%s: serial %d, want %d, error %v", name, serialOf(s), want, err)
		}
	}
	check("one.example", one.serial)
	check("two.example", two.serial)
	check("www.two.example", two.serial)

	newer := ca.issue(named("two.example"))
	first.write("tls.key", []byte("nothing"))
	second.put(newer)
	if err := w.Reload(); err == nil {
		t.Error("the broken pair was not refused")
	}
	check("one.example", one.serial)
	check("two.example", newer.serial)

	s, err := visit(address, &tls.Config{InsecureSkipVerify: true, ServerName: "three.example"})
	if err != nil || serialOf(s) != one.serial {
		t.Errorf("a name that is nobody's: serial %d, want the first pair's, error %v", serialOf(s), err)
	}
}

// One name may have two certificates, for clients that know ECDSA and for others.
func TestTheCertificateThatTheClientKnows(t *testing.T) {
	ca, first, second := newAuthority(), newFolder(t), newFolder(t)
	modern, old := ca.issue(nil), ca.certify(must(rsa.GenerateKey(rand.Reader, 2048)), nil)
	w := watch(t, Options{Pairs: []Pair{first.put(modern), second.put(old)}})
	address := serve(t, w.TLSConfig())
	for suite, want := range map[uint16]int64{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: modern.serial,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   old.serial,
	} {
		s, err := visit(address, &tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if err != nil || serialOf(s) != want {
			t.Errorf("%s: serial %d, want %d, error %v", tls.CipherSuiteName(suite), serialOf(s), want, err)
		}
	}
}
