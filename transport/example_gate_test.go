//go:build unix

package transport_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A server as it is run behind a load balancer: bounded, watched, and drained when
// it is told to end. Here it tells itself, and is in a hurry.
func ExampleGate() {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()

	gate := transport.NewGate(&transport.GateOptions{
		MaxConns:  50_000,
		ByteRate:  transport.Rate{PerSecond: 1 << 20, Burst: 8 << 20},
		DrainLead: 10 * time.Millisecond, // the default suits a load balancer
		Notify:    transport.LogTo(slog.New(slog.DiscardHandler)),
	})
	mux := http.NewServeMux()
	mux.Handle("/healthz", gate.Live())
	mux.Handle("/readyz", gate.Ready())
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Policy: transport.Development})
		if err != nil {
			return // Accept has answered the request, and the Gate has told of it
		}
		defer conn.Close(transport.CodeNormal, "")
		echo(conn)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := transport.NewHTTPServer(mux)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()

	conn, err := transport.Dial(stop, "ws://"+listener.Addr().String()+"/socket", local)
	if err != nil {
		log.Fatal(err)
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM) // what a supervisor does

	<-stop.Done()
	ended := make(chan error)
	go func() { _, err := conn.Read(context.Background(), nil); ended <- err }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := gate.Drain(ctx); err != nil { // the WebSockets
		log.Print(err)
	}
	if err := server.Shutdown(ctx); err != nil { // everything else
		log.Print(err)
	}
	fmt.Println(<-ended)
	// Output: transport: the peer closed the connection: the server restarts (1012) "the server is going away"
}
