// Queue sends sealed orders through a queue in Redis. A shop seals them, and two consumers of one warehouse
// open each of them once. Meanwhile keys rotate, a consumer dies while it handles an order, and an attacker
// puts every message in a second time. docs/queue.md explains it.
//
//	go run . -redis localhost:6390
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("queue", flag.ContinueOnError)
	flags.SetOutput(out)
	queue := flags.String("redis", "localhost:6379", "host:port, or a Unix socket's path, of the Redis that holds the queue")
	claims := flags.String("claims", "", "the same, of the Redis that holds the claims (default: the queue's)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *claims == "" {
		*claims = *queue
	}
	d, err := newDemo(ctx, connect(*queue), connect(*claims), out)
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}

func connect(address string) *redis.Client {
	o := &redis.Options{Addr: address, ContextTimeoutEnabled: true}
	if strings.HasPrefix(address, "/") {
		o.Network = "unix"
	}
	return redis.NewClient(o)
}
