package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// DefaultTimeout is how long a client waits for an answer unless told otherwise.
const DefaultTimeout = 10 * time.Second

// A Client asks an agent. Every call opens a connection of its own, so an agent may restart at any
// time. A Client is safe for concurrent use.
type Client struct {
	path    string
	timeout time.Duration
	tap     func(net.Conn) net.Conn // for tests
}

// NewClient returns a client for the agent at path. The client connects for each request, and waits
// for at most timeout; 0 means [DefaultTimeout].
func NewClient(path string, timeout time.Duration) *Client {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Client{path: path, timeout: timeout, tap: func(c net.Conn) net.Conn { return c }}
}

// Keys lists what the agent holds.
func (c *Client) Keys(ctx context.Context) ([]PublicKey, error) {
	result, err := c.exchange(ctx, request{op: opList})
	if err != nil {
		return nil, err
	}
	list, err := parseList(result)
	if err != nil {
		return nil, agentError(c.path, ErrReply, "is it of this version?")
	}
	return list, nil
}

// Signer returns a Signer for one of the agent's keys, for [keys.GenerateIdentityWith] and
// [keys.Identity.Attach]. It verifies each signature before it returns it. Its errors wrap one of
// this package's.
func (c *Client) Signer(key ed25519.PublicKey) keys.Signer {
	return &remote{c, bytes.Clone(key)}
}

type remote struct {
	client *Client
	key    ed25519.PublicKey
}

func (r *remote) PublicKey() ed25519.PublicKey { return r.key }

func (r *remote) Sign(message []byte) ([]byte, error) {
	q := request{op: opSign, message: message}
	if copy(q.key[:], r.key) != len(q.key) || len(r.key) != len(q.key) || len(message) == 0 || len(message) > MaxMessageSize {
		return nil, agentError(r.client.path, ErrRefused, fmt.Sprintf("a key has 32 bytes, a message 1 to %d", MaxMessageSize))
	}
	sig, err := r.client.exchange(context.Background(), q)
	if err != nil {
		return nil, err
	}
	if len(sig) != ed25519.SignatureSize || !ed25519.Verify(r.key, message, sig) {
		return nil, agentError(r.client.path, ErrSignature, "do not trust this agent: find out what it is")
	}
	return sig, nil
}

var advice = map[status]struct {
	err  error
	text string
}{
	statusRefused: {ErrRefused, "it signs only what the key's purpose allows: statements with a root, messages with a signing key"},
	statusNoKey:   {ErrNoKey, "give it the key, or ask the agent that has it"},
	statusFailed:  {ErrSigner, "look at its own log"},
}

// exchange sends one request and returns the result.
func (c *Client) exchange(ctx context.Context, q request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := checkSocket(c.path); err != nil {
		return nil, err
	}
	body, err := c.roundTrip(ctx, q.append(nil))
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	p, err := parseReply(body)
	if err != nil {
		return nil, agentError(c.path, ErrReply, "is it of this version?")
	}
	if a, failed := advice[p.status]; failed {
		return nil, agentError(c.path, a.err, a.text)
	}
	return p.result, nil
}

func (c *Client) roundTrip(ctx context.Context, body []byte) ([]byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, err
	}
	conn = c.tap(conn)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := writeFrame(conn, body); err != nil {
		return nil, err
	}
	return readFrame(conn)
}

func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errWire):
		return agentError(c.path, ErrReply, "is it of this version?")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w (%w)", agentError(c.path, ErrTimeout, "is it waiting for somebody, or stopped?"), os.ErrDeadlineExceeded)
	case ctx.Err() != nil:
		return fmt.Errorf("agent: %s: %w", c.path, ctx.Err())
	}
	return fmt.Errorf("%w (%w)", agentError(c.path, ErrGone, "start it again, with the same version as this program"), err)
}
