package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

const (
	orders = 30
	maxAge = 24 * time.Hour // how long the consumers may be down
	lease  = time.Second    // in a real service minutes: longer than its slowest order takes
)

// A demo is everything that takes part. In a real service the shop, each consumer and the two Redises are
// on machines of their own.
type demo struct {
	queue, claims   *redis.Client
	name            string // of the queue, new for each run
	folder          string
	secret          keystore.Secret
	shop, warehouse *keystore.Store
	out             io.Writer

	mu      sync.Mutex
	handled map[string]int // by order
	died    bool
	all     chan struct{} // closed once every order has been handled
}

func newDemo(ctx context.Context, queue, claims *redis.Client, out io.Writer) (d *demo, err error) {
	d = &demo{
		queue: queue, claims: claims, name: "orders-" + rand.Text(), secret: keystore.Passphrase([]byte(rand.Text())),
		out: out, handled: make(map[string]int), all: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.folder, err = os.MkdirTemp("", "queue"); err != nil {
		return d, err
	}
	if d.shop, err = d.store(ctx, "shop"); err != nil {
		return d, err
	}
	if d.warehouse, err = d.store(ctx, "warehouse"); err != nil {
		return d, err
	}
	// Two people have compared the fingerprints, see docs/keys.md.
	if err := d.shop.KnownPeers().Admit(d.member(d.warehouse), d.warehouse.Identity().Public()); err != nil {
		return d, err
	}
	if err := d.warehouse.KnownPeers().Admit(d.member(d.shop), d.shop.Identity().Public()); err != nil {
		return d, err
	}
	return d, d.newClaims().Create(ctx, maxAge, time.Time{}) // nothing has been opened yet
}

func (d *demo) store(ctx context.Context, name string) (*keystore.Store, error) {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		return nil, err
	}
	return keystore.Create(ctx, d.path(name), d.secret, id)
}

func (d *demo) path(name string) string { return filepath.Join(d.folder, name+".store") }

func (d *demo) newClaims() *Claims { return &Claims{Redis: d.claims, Name: d.name, Lease: lease} }

// member returns whom one end of the queue expects at the other.
func (d *demo) member(s *keystore.Store) trust.Expected {
	return trust.Expected{Room: "orders", Role: trust.RoleMember, Fingerprint: s.Identity().Fingerprint()}
}

func (d *demo) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	errs := []error{d.queue.Unlink(ctx, d.name, d.name+refused, d.name+replays).Err(), d.queue.Close()}
	if d.claims != d.queue {
		errs = append(errs, d.claims.Close())
	}
	for _, s := range []*keystore.Store{d.shop, d.warehouse} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(d.folder))...)
}

// run sends all orders and waits until they are handled and the queue is empty.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, s := range []*keystore.Store{d.shop, d.warehouse} {
		if err := Publish(ctx, d.queue, s.Identity()); err != nil {
			return err
		}
	}
	for _, name := range []string{"consumer-1", "consumer-2"} {
		replica, err := keystore.OpenReplica(ctx, d.path("warehouse"), d.secret)
		if err != nil {
			return err
		}
		all.Go(func() { d.consumer(name, replica).Run(ctx) })
	}
	all.Go(func() { d.attack(ctx) })
	if err := d.send(ctx); err != nil {
		return err
	}
	select {
	case <-d.all:
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.report(ctx)
}

// send seals each order by the newest statement of the warehouse. After a third of the orders both ends
// rotate, as Store.Run does by itself.
func (d *demo) send(ctx context.Context) error {
	for i := range orders {
		if i == orders/3 {
			if err := errors.Join(d.rotate(ctx, d.shop), d.rotate(ctx, d.warehouse)); err != nil {
				return err
			}
			fmt.Fprintln(d.out, "rotated the keys of both ends")
		}
		to, err := Peer(ctx, d.queue, d.member(d.warehouse), d.shop.KnownPeers())
		if err != nil {
			return err
		}
		s := envelope.Sealer{From: d.shop.Identity(), To: []*keys.PublicIdentity{to}, Context: "orders"}
		if err := Send(ctx, d.queue, d.name, &s, fmt.Appendf(nil, "order %d", i+1)); err != nil {
			return err
		}
	}
	return nil
}

// rotate makes new keys, publishes them to the peers, and begins to use them.
func (d *demo) rotate(ctx context.Context, s *keystore.Store) error {
	for _, use := range []keys.Use{keys.UseSigning, keys.UseSealing} {
		id, err := s.Add(keystore.KeyRef{Use: use})
		if err != nil {
			return err
		}
		if err := Publish(ctx, d.queue, s.Identity()); err != nil {
			return err
		}
		if err := s.Promote(keystore.KeyRef{Use: use, TinkID: id}); err != nil {
			return err
		}
	}
	return Publish(ctx, d.queue, s.Identity())
}

func (d *demo) consumer(name string, replica *keystore.Replica) *Consumer {
	opener := func(ctx context.Context) (envelope.Opener, error) {
		if _, err := replica.Refresh(ctx); err != nil { // reads the store only if it has changed
			return envelope.Opener{}, err
		}
		shop, err := Peer(ctx, d.queue, d.member(d.shop), replica.KnownPeers())
		return envelope.Opener{
			Identity: replica.Identity(), From: shop, Context: "orders",
			MaxAge: maxAge, Archive: true, MaxSize: 1 << 20,
		}, err
	}
	return &Consumer{Queue: d.queue, Claims: d.newClaims(), Name: name, Tries: 10, Opener: opener, Handle: func(_ context.Context, message []byte, _ envelope.Header) error {
		d.handle(name, string(message))
		return nil
	}}
}

// handle counts an order. The first consumer of order 7 dies while it handles it.
func (d *demo) handle(consumer, order string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if order == "order 7" && !d.died {
		d.died = true
		fmt.Fprintf(d.out, "%s dies with %s in hand\n", consumer, order)
		runtime.Goexit() // no Done, no Release, no acknowledgement
	}
	d.handled[order]++
	if len(d.handled) == orders {
		select {
		case <-d.all:
		default:
			close(d.all)
		}
	}
}

// attack puts every message into the queue a second time. Whoever stands between the ends and the queue
// can do that.
func (d *demo) attack(ctx context.Context) {
	seen, last := map[string]bool{}, "0"
	for ctx.Err() == nil {
		got, err := d.queue.XRead(ctx, &redis.XReadArgs{Streams: []string{d.name, last}, Count: 10, Block: lease / 4}).Result()
		if err != nil { // nothing new, or Redis does not answer
			wait(ctx, lease/100)
			continue
		}
		for _, entry := range got[0].Messages {
			last = entry.ID
			sealed, _ := entry.Values[field].(string)
			if seen[sealed] {
				continue
			}
			seen[sealed] = true
			if err := d.queue.XAdd(ctx, &redis.XAddArgs{Stream: d.name, Values: entry.Values}).Err(); err != nil && ctx.Err() == nil {
				slog.Warn("the attacker fails", "error", err)
			}
		}
	}
}

// report waits until the queue is empty, and prints what happened to the orders.
func (d *demo) report(ctx context.Context) error {
	for {
		left, err := d.queue.XLen(ctx, d.name).Result()
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		wait(ctx, lease/10)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	refusals, err := d.queue.XLen(ctx, d.name+replays).Result()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	twice := 0
	for _, n := range d.handled {
		if n > 1 {
			twice++
		}
	}
	fmt.Fprintf(d.out, "%d orders handled, %d of them twice; %d replays refused\n", len(d.handled), twice, refusals)
	return nil
}
