//go:build unix

package agent_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/agent"
)

// The root and the signing key of an identity stay with an agent, which would be another process.
func Example() {
	dir, err := os.MkdirTemp("", "agent") // mode 0700
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")

	// The agent:
	root, rootKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signing, signingKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	server, err := agent.Listen(path,
		agent.Key{Signer: agent.Local(rootKey), For: agent.Statements},
		agent.Key{Signer: agent.Local(signingKey), For: agent.Messages})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(context.Background()) }()

	// The program:
	client := agent.NewClient(path, 0)
	me, err := keys.GenerateIdentityWith("billing", client.Signer(root), client.Signer(signing))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(me.Name(), me.Public().VerifyingKey().PublicKey().Equal(signing))

	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output: billing true
}
