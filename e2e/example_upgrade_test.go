//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A node of several, which lets go of its sessions when it is told to stop: their
// clients go on with another node, see docs/deploy.md.
func ExampleServer_Shutdown() {
	me, err := keys.GenerateIdentity("node")
	if err != nil {
		log.Fatal(err)
	}
	gate := transport.NewGate(&transport.GateOptions{DrainLead: time.Millisecond}) // longer than the balancer takes to notice
	srv, err := e2e.NewServer(e2e.ServerConfig{
		Identity: me,
		Verifier: trust.Pinned(me.Fingerprint()),
		Protocol: "echo/1",
		Accept:   &transport.AcceptOptions{Gate: gate},
		// and a Store with its StoreKeys, which all nodes share
	}, func(context.Context, *e2e.Session) error { return nil })
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket", srv)
	mux.Handle("/readyz", gate.Ready())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go tellToStop(listener.Addr().String()) // what a service manager does

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go server.Serve(listener)
	<-ctx.Done()
	bounded, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	gate.Withdraw(bounded) // /readyz says 503; returns after GateOptions.DrainLead
	listener.Close()       // refused: the front asks another node at once
	srv.Shutdown(bounded)  // with a Store: the sessions stay there, and their clients come back
	server.Close()

	fmt.Println("let go of everything:", bounded.Err() == nil)
	// Output:
	// ready: 200 OK
	// let go of everything: true
}

// tellToStop tells this process to stop once it serves.
func tellToStop(address string) {
	resp, err := http.Get("http://" + address + "/readyz") // waits in the listener's queue
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println("ready:", resp.Status)
	http.DefaultClient.CloseIdleConnections()
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
}
