//go:build !js

package servertls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var serials atomic.Int64

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(90 * dayLong),
	}
}

func newAuthority() *authority {
	t := template("authority")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	raw := must(x509.CreateCertificate(rand.Reader, t, t, key.Public(), key))
	return &authority{cert: must(x509.ParseCertificate(raw)), key: key}
}

func (a *authority) pem() []byte { return certPEM(a.cert.Raw) }

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue returns a certificate for localhost and 127.0.0.1, unless change alters it.
func (a *authority) issue(change func(*x509.Certificate)) *issued {
	return a.certify(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), change)
}

func (a *authority) certify(key crypto.Signer, change func(*x509.Certificate)) *issued {
	t := template("server")
	t.DNSNames, t.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if change != nil {
		change(t)
	}
	raw := must(x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key))
	keyDER := must(x509.MarshalPKCS8PrivateKey(key))
	return &issued{cert: certPEM(raw), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), serial: t.SerialNumber.Int64()}
}

// client issues a certificate for a client.
func (a *authority) client(change func(*x509.Certificate)) tls.Certificate {
	i := a.issue(func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if change != nil {
			change(t)
		}
	})
	return must(tls.X509KeyPair(i.cert, i.key))
}

func named(names ...string) func(*x509.Certificate) {
	return func(t *x509.Certificate) { t.DNSNames, t.IPAddresses = names, nil }
}

type issued struct {
	cert, key []byte
	serial    int64
}

func certPEM(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

// A folder holds the files of a pair.
type folder string

func newFolder(t *testing.T) folder { return folder(t.TempDir()) }

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

func (f folder) write(name string, b []byte) string {
	if err := os.WriteFile(f.file(name), b, 0o600); err != nil {
		panic(err)
	}
	return f.file(name)
}

func (f folder) put(i *issued) Pair {
	return Pair{Cert: f.write("tls.crt", i.cert), Key: f.write("tls.key", i.key)}
}

var quiet = slog.New(slog.DiscardHandler)

// watch calls Watch for the length of the test, without a log. The Watcher never looks by
// itself unless the options set an Interval.
func watch(t *testing.T, opts Options) *Watcher {
	t.Helper()
	if opts.Interval == 0 {
		opts.Interval = 1000 * time.Hour
	}
	if opts.Logger == nil {
		opts.Logger = quiet
	}
	w, err := Watch(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// serve listens on a real socket and answers each connection with one byte. It
// returns the address.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	l := must(tls.Listen("tcp", "127.0.0.1:0", config))
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

func answer(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte{1}); err == nil {
		io.Copy(io.Discard, c)
	}
}

// visit connects, reads the byte, and returns the state of the client's connection.
func visit(address string, config *tls.Config) (tls.ConnectionState, error) {
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	return shake(raw, config)
}

func shake(raw net.Conn, config *tls.Config) (tls.ConnectionState, error) {
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = "localhost"
	}
	c := tls.Client(raw, config)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(make([]byte, 1))
	if err == nil && n != 1 {
		err = errors.New("no byte")
	}
	return c.ConnectionState(), err
}

func serialOf(s tls.ConnectionState) int64 {
	if len(s.PeerCertificates) == 0 {
		return 0
	}
	return s.PeerCertificates[0].SerialNumber.Int64()
}

// A recorder records events.
type recorder struct {
	mu     sync.Mutex // guards what follows
	events []Event
}

func (r *recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// expect compares the kinds of all events so far.
func (r *recorder) expect(t *testing.T, want ...Kind) {
	t.Helper()
	var got []Kind
	for _, e := range r.all() {
		got = append(got, e.Kind)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
}

func answerOK(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, strconv.Itoa(http.StatusOK))
}

// serveHTTP runs an http.Server as the package's documentation says. The server must log
// one line with each of the given texts, and nothing else.
func serveHTTP(t *testing.T, w *Watcher, handler http.Handler, lines ...string) (address string) {
	t.Helper()
	logged := new(bytes.Buffer)
	server := &http.Server{Handler: handler, TLSConfig: w.TLSConfig(), ErrorLog: log.New(logged, "", 0)}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
		said := slices.Collect(strings.Lines(logged.String()))
		if !slices.EqualFunc(said, lines, strings.Contains) {
			t.Errorf("the server says:\n%s", logged)
		}
	})
	return l.Addr().String()
}
