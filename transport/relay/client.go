package relay

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// waitingEvents is how many events a Client keeps for Next. When they are full it stops reading,
// which makes the relay wait and in the end cut the connection.
const waitingEvents = 256

// errProtocol ends the connection to a peer that does not speak a relay's protocol.
var errProtocol = fmt.Errorf("relay: what answers there is not a relay: %w", net.ErrClosed)

// A Client is a connection to a relay, in as many topics as it joins. Several goroutines may call
// its methods. It must be closed.
type Client struct {
	conn   transport.Conn
	events chan Event    // closed by read
	ended  chan struct{} // closed by read once err is set
	err    error

	mu    sync.Mutex
	joins map[string]chan Event // by topic: where a Join waits for Joined or Refused
}

// Dial connects to a relay. The context bounds the dial only. Its errors are those of
// [transport.Dial]. Over ws:// the options have to say that what is published is Sealed; topics and
// names are never sealed.
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

// Join makes the client a member of a topic, which is 1 to 128 bytes of UTF-8. The name is 1 to 64
// bytes, and no other member of the topic may have it. The presence, up to 8 KiB, is shown to the
// other members. The result has the client's own id and the members who were there before; later
// members come as events.
//
// The error is a [*RefusedError]; that of ctx, and then the client may have become a member
// nevertheless; or what ended the connection. The answer waits behind the events that came before
// it, of which the Client keeps 256, so somebody has to call Next.
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

// expect registers a Join that waits for its answer.
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

// Leave ends the membership in a topic. Events from the topic stop once the relay has processed it.
func (c *Client) Leave(ctx context.Context, topic string) error {
	return c.send(ctx, frame.Leave{Topic: topic})
}

// Publish sends payload to the other members of a topic and returns when the transport has it. If
// the client is not a member, a Refused event comes back. A frame above the relay's limit, by
// default 256 KiB with topic and framing, ends the connection. The caller may reuse payload.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte) error {
	return c.send(ctx, frame.Publish{Topic: topic, Payload: payload})
}

// Send sends payload to one other member of a topic, and is otherwise like Publish. If that member
// has left, the payload is dropped, and a Refused event may come back.
func (c *Client) Send(ctx context.Context, topic string, to MemberID, payload []byte) error {
	return c.send(ctx, frame.Send{Topic: topic, To: to, Payload: payload})
}

// send writes one request. If ctx ends while the transport has no room, the connection ends too,
// because a part of the request may be under way.
func (c *Client) send(ctx context.Context, f frame.Request) error {
	select {
	case <-c.ended:
		return c.err
	default:
		return c.conn.Write(ctx, f.Append(nil))
	}
}

// Next returns the next event. After the connection has ended it first returns the events that had
// come, then the error that ended it, which matches net.ErrClosed. If ctx ends, no event is lost.
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

// read reads the relay's frames until the connection ends.
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

// answers hands event to the Join that waits for it, and reports whether one does.
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
