package relay

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// waitingEvents is how many events a Client keeps for Next before it stops
// reading, which makes the relay wait and in the end cut the connection.
const waitingEvents = 256

// errProtocol ends the connection to a relay that does not keep to its language.
var errProtocol = fmt.Errorf("relay: what answers there is not a relay: %w", net.ErrClosed)

// A Client is a connection to a relay, in as many topics as it joins. Its methods
// may be called from several goroutines. It must be closed.
type Client struct {
	conn   transport.Conn
	events chan Event    // closed by read
	ended  chan struct{} // closed by read once err is set
	err    error

	mu    sync.Mutex
	joins map[string]chan Event // by topic: where a Join waits for Joined or Refused
}

// Dial connects to a relay. The context bounds the dial only. Its errors are those
// of [transport.Dial]. Over ws:// the options have to say that what is published
// is Sealed; topics and names are not, in any case.
func Dial(ctx context.Context, url string, opts *transport.DialOptions) (*Client, error) {
	conn, err := transport.Dial(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// NewClient returns a Client that owns conn, a connection to a relay.
func NewClient(conn transport.Conn) *Client {
	c := &Client{
		conn:   conn,
		events: make(chan Event, waitingEvents),
		ended:  make(chan struct{}),
		joins:  make(map[string]chan Event),
	}
	go c.read()
	return c
}

// Join makes the client a member of a topic: 1 to 128 bytes of UTF-8, under a name
// of 1 to 64 that nobody there may have yet. The presence, up to 8 KiB, is shown
// to the other members. The result names oneself and the members who were there
// before; the others come as events.
//
// Errors: a [*RefusedError]; that of ctx, and then the client may be a member all
// the same; or what ended the connection. When more than 256 events are waiting
// the answer waits behind them, so somebody has to call Next.
func (c *Client) Join(ctx context.Context, topic, name string, presence []byte) (*Joined, error) {
	join := frame.Join{Topic: topic, Name: name, Presence: presence}
	if code := join.Check(); code != 0 {
		return nil, &RefusedError{topic, code}
	}
	answer, err := c.expect(topic)
	if err != nil {
		return nil, err
	}
	defer c.forget(topic)
	if err := c.send(ctx, join); err != nil {
		return nil, err
	}
	select {
	case event := <-answer:
		return joined(event)
	case <-ctx.Done():
		return nil, fmt.Errorf("relay: no answer to a join: %w", ctx.Err())
	case <-c.ended:
		return nil, c.err
	}
}

func joined(answer Event) (*Joined, error) {
	switch e := answer.(type) {
	case frame.Joined:
		return &e, nil
	case frame.Refused:
		return nil, &RefusedError{e.Topic, e.Code}
	}
	return nil, errProtocol
}

// expect registers a Join that waits.
func (c *Client) expect(topic string) (<-chan Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joins[topic] != nil {
		return nil, &RefusedError{topic, AlreadyJoined}
	}
	answer := make(chan Event, 1)
	c.joins[topic] = answer
	return answer, nil
}

func (c *Client) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.joins, topic)
}

// Leave ends the membership in a topic. No more events come from it once the relay
// has seen that.
func (c *Client) Leave(ctx context.Context, topic string) error {
	return c.send(ctx, frame.Leave{Topic: topic})
}

// Publish sends payload to the other members of a topic and returns when the
// transport has it. Publishing where one is no member comes back as a Refused
// event; above the relay's limit, by default 256 KiB with topic and framing, it
// ends the connection. The caller may reuse payload.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte) error {
	return c.send(ctx, frame.Publish{Topic: topic, Payload: payload})
}

// Send sends payload to one other member of a topic, and else is like Publish. Where
// that member has left, the payload is dropped, which may come back as a Refused event.
func (c *Client) Send(ctx context.Context, topic string, to MemberID, payload []byte) error {
	return c.send(ctx, frame.Send{Topic: topic, To: to, Payload: payload})
}

// send writes one request. A ctx that ends while the transport has no room ends
// the connection too, as a part of the request may be under way.
func (c *Client) send(ctx context.Context, f frame.Request) error {
	select {
	case <-c.ended:
		return c.err
	default:
		return c.conn.Write(ctx, f.Append(nil))
	}
}

// Next returns the next event. After the connection has ended it first returns
// those that had come, then what ended it, which matches net.ErrClosed. Giving up
// through ctx loses nothing.
func (c *Client) Next(ctx context.Context) (Event, error) {
	select {
	case event, more := <-c.events:
		if !more {
			return nil, c.err
		}
		return event, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close leaves all topics and ends the connection. It may be called twice.
func (c *Client) Close() error {
	err := c.conn.Close(transport.CodeNormal, "")
	for range c.events { // read may be waiting for room
	}
	return err
}

// Info returns what is known about the link to the relay.
func (c *Client) Info() transport.Info { return c.conn.Info() }

// read takes the frames of the relay until the connection ends.
func (c *Client) read() {
	defer close(c.events)
	defer close(c.ended)
	for {
		b, err := c.conn.Read(context.Background(), nil)
		if err != nil {
			c.err = err
			return
		}
		event, err := frame.ParseEvent(b)
		if err != nil {
			c.conn.Close(transport.CodeProtocol, "not a relay frame")
			c.err = errProtocol
			return
		}
		if !c.answers(event) {
			c.events <- event
		}
	}
}

// answers hands event to the Join that waits for it, if one does.
func (c *Client) answers(event Event) bool {
	var topic string
	switch e := event.(type) {
	case frame.Joined:
		topic = e.Topic
	case frame.Refused:
		if e.Code == NotJoined || e.Code == NotThere { // that was a Publish, a Send or a Leave
			return false
		}
		topic = e.Topic
	default:
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.joins[topic] <- event: // has room for one; a nil channel for none
		return true
	default:
		return false
	}
}
