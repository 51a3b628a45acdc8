package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/retry"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
	"github.com/hopseal/hopseal/transport/relay"
)

const (
	// joinTimeout bounds one attempt to join again.
	joinTimeout = 20 * time.Second

	// probeAfter is how long a relay may be silent before it is probed, and how long it may take
	// to answer. A browser would not notice otherwise that the relay is lost.
	probeAfter = 30 * time.Second
)

var errSilent = fmt.Errorf("peer: the relay does not answer: %w", net.ErrClosed)

// Join returns a Node in a topic of the relay at a ws:// or wss:// URL. When the relay is lost, the
// node joins again, as the Retry of the sessions' Config says. It does so for as long as it is open,
// whatever the relay or a hop answers, unless Retry has limits or a Decide. Once these end it, Accept
// and Dial return [ErrLeft] until there is another Use. The context bounds the first join only, which
// is tried once. The Dial of the sessions' Config is used for the relay; what crosses it is Sealed in
// any case.
//
// Errors: those of New, of [relay.Dial] and of [relay.Client.Join].
func Join(ctx context.Context, url, topic string, cfg Config) (*Node, error) {
	n, err := New(topic, cfg)
	if err != nil {
		return nil, err
	}
	j := &joiner{node: n, url: url, name: cmp.Or(cfg.Name, cfg.Session.Identity.Name()), presence: cfg.Presence}
	if _, err := j.dial(ctx); err != nil {
		n.Close()
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.Use(j.client, j.result)
	n.joined.Go(func() { j.run(life) })
	return n, nil
}

// A joiner keeps a node in its topic.
type joiner struct {
	node      *Node
	url, name string
	presence  []byte

	client *relay.Client // what dial has made
	result *relay.Joined
}

// dial connects and joins. A Redialer calls it.
func (j *joiner) dial(ctx context.Context) (transport.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	opts := new(transport.DialOptions)
	if given := j.node.session.Dial; given != nil {
		*opts = *given
	}
	opts.Sealed = true // by the sessions
	conn, err := transport.Dial(ctx, j.url, opts)
	if err != nil {
		return nil, err
	}
	presence := j.presence
	if presence == nil {
		presence = j.node.session.Identity.Public().Bytes() // as it is by now
	}
	client := relay.NewClient(conn)
	result, err := client.Join(ctx, j.node.topic, j.name, presence)
	if err != nil {
		client.Close()
		return nil, err
	}
	j.client, j.result = client, result
	return conn, nil
}

// run gives the node what the relay says, and joins again when the relay is lost. When it stops, it
// tells the node why.
func (j *joiner) run(ctx context.Context) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &e2e.PanicError{Value: v, Stack: debug.Stack()}
		}
		j.node.leave(err)
	}()
	redialer := redial.New(rejoining(j.node.session.Retry), j.dial)
	for {
		lost := j.serve(ctx)
		j.node.Lost()
		j.client.Close()
		if _, err = redialer.Next(ctx, lost); err != nil {
			return
		}
		j.node.Use(j.client, j.result)
		err = errGoexit
	}
}

// errGoexit says that nobody joins again, since a function of the application did not return.
var errGoexit = errors.New("peer: runtime.Goexit was called in Retry")

// rejoining returns the policy of a joiner. It keeps trying: neither a relay nor a hop before it
// decides when a room is over.
func rejoining(r redial.Policy) redial.Policy {
	r = retry.WithDefaults(r)
	if r.Decide == nil {
		r.Decide = e2e.ActionFor
	}
	return r
}

// serve handles events until the relay is lost.
func (j *joiner) serve(ctx context.Context) error {
	asked := false
	for {
		event, err := j.next(ctx)
		switch {
		case err == nil:
			asked = false
			j.node.Handle(event)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		case asked:
			return errSilent
		default:
			asked = true
			go j.client.Send(ctx, j.node.topic, j.result.ID, nil) // to itself, which the relay refuses
		}
	}
}

func (j *joiner) next(ctx context.Context) (relay.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, probeAfter)
	defer cancel()
	return j.client.Next(ctx)
}
