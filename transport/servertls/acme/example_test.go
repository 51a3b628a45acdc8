//go:build !js

package acme_test

import (
	"context"
	"log"
	"net/http"

	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/transport/servertls"
	"github.com/hopseal/hopseal/transport/servertls/acme"
)

// A server that gets its certificate by itself. Port 80 lets the authority check
// there too, and sends browsers on to https.
func ExampleNew() {
	manager, err := acme.New(acme.Options{
		Hosts:       []string{"chat.example.com"},
		Cache:       autocert.DirCache("/var/lib/chat/certificates"),
		AcceptTerms: true,
		Email:       "operator@example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()
	certs, err := servertls.Watch(servertls.Options{GetCertificate: manager.GetCertificate, Certificates: manager.Certificates})
	if err != nil {
		log.Fatal(err)
	}
	defer certs.Close()

	go func() { log.Fatal(http.ListenAndServe(":80", manager.HTTPHandler(nil))) }()
	go manager.Warm(context.Background()) // before the first client; failures are logged, and tried again
	server := &http.Server{Addr: ":443", TLSConfig: certs.TLSConfig()}
	log.Fatal(server.ListenAndServeTLS("", ""))
}
