// Billing stands for a service in the guide's transcripts: it holds its store open and rotates.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/keys/keystore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // longer than the tests
	defer cancel()
	passphrase, err := os.ReadFile("passphrase")
	if err != nil {
		log.Fatal(err)
	}
	store, err := keystore.Open(ctx, "billing.store", keystore.Passphrase(passphrase[:len(passphrase)-1]))
	if err != nil {
		log.Fatal(err)
	}
	_ = store.Run(ctx, keystore.DefaultRotation)
	_ = store.Close()
	fmt.Println("down")
}
