package keystore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
	"github.com/hopseal/hopseal/keys/trust"
)

// A Client asks the process that has a store open for writing to change it, see [Store.Serve]. It
// reads the store as a [Replica] does. When a call returns, the Client has read the change.
//
// A call returns the writer's error or one of its own. If that wraps [ErrNotServed], [ErrWriterBusy]
// or [ErrNotTheWriter], nothing was changed. If it wraps [ErrNoAnswer], the change may have been made. No
// change begins after the call has returned.
type Client struct {
	*Replica
	path    string // of the store, with symbolic links resolved
	control []byte
	tap     func(net.Conn) net.Conn // for tests
}

// OpenClient reads the store and checks that its writer takes requests. It returns the errors of
// [OpenReplica], and errors that wrap [ErrNotServed], [ErrWriterBusy] or [ErrNotTheWriter].
func OpenClient(ctx context.Context, path string, secret Secret) (*Client, error) {
	real, err := realPath(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	r, err := OpenReplica(ctx, path, secret)
	if err != nil {
		return nil, err
	}
	c := &Client{Replica: r, path: real, control: controlKey(r.master), tap: func(c net.Conn) net.Conn { return c }}
	conn, _, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	conn.Close()
	return c, nil
}

// Path returns the path of the store's file.
func (c *Client) Path() string { return c.Replica.path }

// Admit is [trust.KnownPeers.Admit], done by the writer.
func (c *Client) Admit(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	if noPublic(got) {
		return missing.Arg("PublicIdentity")
	}
	return c.change(ctx, request{op: opAdmit, want: want, data: got.Bytes()})
}

// Forget is [trust.KnownPeers.Forget], done by the writer.
func (c *Client) Forget(ctx context.Context, want trust.Expected, root keys.Fingerprint) error {
	return c.change(ctx, request{op: opForget, want: want, root: root})
}

// RevokePeer is [trust.KnownPeers.Revoke], done by the writer.
func (c *Client) RevokePeer(ctx context.Context, revoked *keys.PublicIdentity) error {
	if noPublic(revoked) {
		return missing.Arg("PublicIdentity")
	}
	return c.change(ctx, request{op: opRevoked, data: revoked.Bytes()})
}

// Succeed is [trust.KnownPeers.Succeed], done by the writer.
func (c *Client) Succeed(ctx context.Context, s *trust.Succession) error {
	if noSuccession(s) {
		return missing.Arg("Succession")
	}
	return c.change(ctx, request{op: opSucceed, data: s.Bytes()})
}

// Rotate is [Store.Rotate], done by the writer with the policy of its [Store.Run]. It also returns what
// [Store.Filling] says. Give a policy only to a writer that does not call Run; nil means
// [DefaultRotation] there. If the writer calls Run, the error for a policy wraps [ErrOtherPolicy].
func (c *Client) Rotate(ctx context.Context, p *RotationPolicy) (next time.Time, filling []*KeysetFullError, err error) {
	a, err := c.ask(ctx, request{op: opRotate, policy: p})
	return a.next, a.filling, err
}

// Add is [Store.Add], done by the writer.
func (c *Client) Add(ctx context.Context, ref KeyRef) (uint32, error) {
	a, err := c.ask(ctx, request{op: opAdd, ref: ref})
	return a.key, err
}

// Replace is [Store.Replace], done by the writer.
func (c *Client) Replace(ctx context.Context, ref KeyRef) (uint32, error) {
	a, err := c.ask(ctx, request{op: opReplace, ref: ref})
	return a.key, err
}

// Promote is [Store.Promote], done by the writer.
func (c *Client) Promote(ctx context.Context, ref KeyRef) error {
	return c.change(ctx, request{op: opPromote, ref: ref})
}

// Disable is [Store.Disable], done by the writer.
func (c *Client) Disable(ctx context.Context, ref KeyRef) error {
	return c.change(ctx, request{op: opDisable, ref: ref})
}

// Destroy is [Store.Destroy], done by the writer.
func (c *Client) Destroy(ctx context.Context, ref KeyRef) error {
	return c.change(ctx, request{op: opDestroy, ref: ref})
}

// Renew is [Store.Renew], done by the writer.
func (c *Client) Renew(ctx context.Context) error { return c.change(ctx, request{op: opRenew}) }

// Revoke is [Store.Revoke], done by the writer.
func (c *Client) Revoke(ctx context.Context) error { return c.change(ctx, request{op: opRevoke}) }

// PutSharedKeyset is [Store.PutSharedKeyset], done by the writer. The keyset travels encrypted.
func (c *Client) PutSharedKeyset(ctx context.Context, name string, set *keys.SharedKeyset) error {
	return c.hand(ctx, opPut, name, set)
}

// UpdateSharedKeyset is [Store.UpdateSharedKeyset], done by the writer. The keyset travels encrypted.
func (c *Client) UpdateSharedKeyset(ctx context.Context, name string, set *keys.SharedKeyset) error {
	return c.hand(ctx, opUpdate, name, set)
}

func (c *Client) hand(ctx context.Context, kind op, name string, set *keys.SharedKeyset) error {
	if noSharedKeyset(set) {
		return missing.Arg("SharedKeyset")
	}
	b, err := set.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return err
	}
	return c.change(ctx, request{op: kind, ref: KeyRef{Keyset: name}, data: b})
}

func (c *Client) change(ctx context.Context, q request) error {
	_, err := c.ask(ctx, q)
	return err
}

// ask sends one request to the writer, and then reads the store again.
func (c *Client) ask(ctx context.Context, q request) (answer, error) {
	if !q.fits() {
		return answer{}, errors.New("keys: the request has a name, a time or a statement that no store takes")
	}
	conn, link, err := c.connect(ctx)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := c.send(ctx, conn, link, q); err != nil {
		return answer{}, c.explain(ctx, err) // the writer ignores an incomplete request
	}
	a, err := c.answer(ctx, conn, link)
	if err != nil {
		return answer{}, fmt.Errorf("%w (%w)", fileError(c.Path(), ErrNoAnswer, "look at the store before you try again"), err)
	}
	c.turn.Lock()
	c.seen.info = nil // read the file again: the file system may have another clock, see coarsestTick
	c.turn.Unlock()
	failed := a.err(q)
	if _, err := c.Refresh(ctx); err != nil {
		return a, errors.Join(failed, unseen(failed, err))
	}
	return a, failed
}

// unseen returns the error of reading the store again after a request. If the change was made, the error
// says so.
func unseen(failed, err error) error {
	if tookEffect(failed) {
		return fmt.Errorf("keys: the change was made, and could not be read: %w", err)
	}
	return err
}

func (c *Client) send(ctx context.Context, conn net.Conn, link linkKeys, q request) error {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	defer endWith(ctx, conn)()
	return cause(ctx, writeFrame(conn, sealFrame(link.request, q.append(nil))))
}

func (c *Client) answer(ctx context.Context, conn net.Conn, link linkKeys) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	defer endWith(ctx, conn)()
	b, err := readFrame(conn, maxAnswer+64)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	if b, err = openFrame(link.answer, b); err != nil {
		return answer{}, errWire
	}
	return parseAnswer(b)
}

// cause returns the context's error if that ended the connection.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// connect connects to the process that takes requests, and has it prove that it is the writer.
func (c *Client) connect(ctx context.Context) (net.Conn, linkKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	conn, err := socket.Dial(ctx, c.path)
	if err != nil {
		return nil, linkKeys{}, c.explain(ctx, err)
	}
	conn = c.tap(conn)
	stop := endWith(ctx, conn)
	link, err := prove(conn, c.control)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, linkKeys{}, c.explain(ctx, cause(ctx, err))
	}
	return conn, link, nil
}

// prove does the client's part of the greeting.
func prove(conn net.Conn, control []byte) (linkKeys, error) {
	client := newNonce()
	if err := writeFrame(conn, appendHello(nil, client)); err != nil {
		return linkKeys{}, err
	}
	b, err := readFrame(conn, maxGreeting)
	if err != nil {
		return linkKeys{}, err
	}
	writer, proof, err := parseHi(b)
	if err != nil {
		return linkKeys{}, err
	}
	link := newLinkKeys(control, client, writer)
	if !sameProof(proof, link.proof) {
		return linkKeys{}, ErrNotTheWriter
	}
	return link, nil
}

func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrNotServed):
		return fileError(c.Path(), ErrNotServed, inUseAdvice())
	case errors.Is(err, ErrNotTheWriter), errors.Is(err, errWire):
		return fileError(c.Path(), ErrNotTheWriter, "nothing was changed: find out which process made "+socket.Path(c.path))
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("keys: %s: nothing was changed: %w", c.Path(), context.Canceled)
	}
	return fmt.Errorf("%w (%w)", fileError(c.Path(), ErrWriterBusy, "nothing was changed: it is suspended, busy, another user's, or of another version: try again, or stop it"), err)
}

// Format prints the path, whatever the verb.
func (c *Client) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "keystore.Client(%s)", c.path) }
