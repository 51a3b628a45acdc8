//go:build unix

package servertls_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/servertls"
)

// A service whose certificate comes from certbot. A gauge shows how long it is good
// for. Certbot's deploy hook may send SIGHUP, to save the wait for the next read.
func Example() {
	certs, err := servertls.Watch(servertls.Options{
		Pairs: []servertls.Pair{{
			Cert:  "/etc/letsencrypt/live/chat.example.com/fullchain.pem",
			Key:   "/etc/letsencrypt/live/chat.example.com/privkey.pem",
			Names: []string{"chat.example.com"},
		}},
		Notify: func(e servertls.Event) {
			if e.Kind != servertls.Loaded {
				fmt.Println("page somebody:", e.Kind, e.Files, e.Err)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer certs.Close()

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			certs.Reload() // what it refuses is logged
		}
	}()

	http.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		for _, e := range certs.Expiries() {
			fmt.Fprintf(w, "tls_certificate_expiry_seconds{name=%q} %.0f\n", e.Name, e.Left.Seconds())
		}
	})
	http.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered the request
		}
		defer conn.Close(transport.CodeNormal, "")
		conn.Write(context.Background(), []byte("hello"))
	})
	server := &http.Server{Addr: ":443", TLSConfig: certs.TLSConfig()}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

// Nodes behind a load balancer that resume each other's sessions, and accept only
// clients with a certificate of the company.
func ExampleWatch_nodes() {
	certs, err := servertls.Watch(servertls.Options{
		Pairs:      []servertls.Pair{{Cert: "/var/run/tls/tls.crt", Key: "/var/run/tls/tls.key"}},
		ClientCAs:  "/var/run/tls/clients.crt",
		TicketFile: "/var/run/tickets/secrets", // openssl rand -base64 32
	})
	if err != nil {
		log.Fatal(err)
	}
	defer certs.Close()
	server := &http.Server{Addr: ":443", TLSConfig: certs.TLSConfig()}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

// A certificate is renewed while the server runs, and then overwritten with rubbish.
func ExampleWatcher_Reload() {
	folder, err := os.MkdirTemp("", "servertls")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	pair := servertls.Pair{Cert: filepath.Join(folder, "tls.crt"), Key: filepath.Join(folder, "tls.key")}
	issue(pair, "chat.example.com", 2*24*time.Hour) // stands for a certificate authority

	certs, err := servertls.Watch(servertls.Options{
		Pairs:  []servertls.Pair{pair},
		Logger: slog.New(slog.DiscardHandler),
		Notify: func(e servertls.Event) { fmt.Println("event:", e.Kind) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer certs.Close()
	show := func() {
		for _, e := range certs.Expiries() {
			fmt.Printf("%s is good for %.0f days\n", e.Name, e.Left.Hours()/24)
		}
	}
	show()

	issue(pair, "chat.example.com", 90*24*time.Hour)
	if err := certs.Reload(); err != nil {
		log.Fatal(err)
	}
	show()

	if err := os.WriteFile(pair.Cert, []byte("rubbish"), 0o600); err != nil {
		log.Fatal(err)
	}
	if certs.Reload() == nil {
		log.Fatal("rubbish was taken")
	}
	show()
	// Output:
	// event: loaded
	// chat.example.com is good for 2 days
	// event: loaded
	// chat.example.com is good for 90 days
	// event: refused
	// chat.example.com is good for 90 days
}

func issue(pair servertls.Pair, name string, life time.Duration) {
	template := &x509.Certificate{DNSNames: []string{name}, NotBefore: time.Now(), NotAfter: time.Now().Add(life + time.Minute)}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		log.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		log.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{pair.Cert: {Type: "CERTIFICATE", Bytes: cert}, pair.Key: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}
