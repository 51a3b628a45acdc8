package core

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A callback is a function that JavaScript keeps for a session or a server, under a key.
type callback uint32

// Callbacks, with the fields of the question and of the answer.
const (
	callDial         callback = iota + 1 // largest message number → connection handle
	callVerify                           // address text, room text, role number, fingerprint text, public identity → 1 for yes
	callCredentials                      // nothing → bytes
	callAuthenticate                     // public identity, credentials bytes → expires time, 0 for never
	callSession                          // session → nothing: the function of a server, for as long as it runs
	callRequest                          // session handle, one way number, message → reply, see reply
	callGet                              // key text → version serial, value bytes
	callPut                              // key text, value bytes, version serial, expires time → 1 where it was put
	callDelete                           // key text, version serial → 1 where it was deleted
	callKeys                             // nothing → texts
)

// The callbacks of one session or server.
type callbacks struct {
	office *office
	core   *Core
	key    uint32
}

func (b callbacks) ask(ctx context.Context, which callback, fields []byte) (*request, error) {
	r, err := b.office.ask(ctx, b.key, which, fields)
	if r != nil {
		r.objects = &b.core.objects
	}
	return r, err
}

func (b callbacks) run(ctx context.Context, which callback, fields []byte) (*request, error) {
	return b.office.run(ctx, b.key, which, fields)
}

// ends reads what both roles have: key number, identity handle, known peers handle, pinned
// handles, JavaScript verifies number, protocol text.
type ends struct {
	callbacks
	identity *keys.Identity
	verifier trust.Verifier
	protocol string
}

func (c *Core) readEnds(r *request) ends {
	e := ends{callbacks: callbacks{&c.office, c, r.uint32()}, identity: required[*keys.Identity](r)}
	peers, pinned, asks := object[*trust.KnownPeers](r), list[*keys.PublicIdentity](r), r.uint32()
	e.protocol = r.text()
	switch {
	case peers != nil:
		e.verifier = peers
	case len(pinned) > 0:
		roots := make([]keys.Fingerprint, len(pinned))
		for i, p := range pinned {
			roots[i] = p.Fingerprint()
		}
		e.verifier = trust.Pinned(roots...)
	case asks == 1:
		e.verifier = pageVerifier{e.callbacks}
	}
	return e
}

// A pageVerifier asks JavaScript.
type pageVerifier struct{ callbacks }

// Verify is described at [trust.Verifier]. An error with a code of trust, such as
// "trust-unknown", says no. Every other error says that there is no answer now.
func (v pageVerifier) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	fields := appendUint32(appendText(appendText(nil, want.Address), want.Room), uint32(want.Role))
	fields = appendPeer(appendFingerprint(fields, want.Fingerprint), got)
	r, err := v.ask(ctx, callVerify, fields)
	if err == nil && r.uint32() == 1 && r.done() == nil {
		return nil
	}
	if reason, no := trustReasons[codeOf(err)]; no || err == nil {
		return &trust.Error{Reason: max(reason, trust.Unknown), Want: want, Got: got.Fingerprint()}
	}
	return err
}

var trustReasons = map[string]trust.Reason{
	"trust-unknown": trust.Unknown, "trust-changed": trust.Changed, "trust-revoked": trust.Revoked,
	"trust-expired": trust.Expired, "trust-rolled-back": trust.RolledBack, "trust-not-yet-valid": trust.NotYetValid,
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

func appendFingerprint(dst []byte, f keys.Fingerprint) []byte {
	if f == (keys.Fingerprint{}) {
		return appendText(dst, "")
	}
	return appendText(dst, f.String())
}

// readOptions reads: sign number, allow self number, largest message number, window number, calls
// number, then keep-alive, handshake timeout, send timeout, idle timeout and age, each a number of
// milliseconds, key of the store or 0 number, store's keys handle. 0 means the default.
func (e ends) readOptions(r *request) e2e.Options {
	o := e2e.Options{Proof: e2e.ProofNone, AllowSelf: false}
	if r.uint32() == 1 {
		o.Proof = e2e.ProofEd25519
	}
	o.AllowSelf = r.uint32() == 1
	o.MaxMessage, o.Window, o.MaxCalls = int(r.uint32()), int(r.uint32()), int(r.uint32())
	for _, d := range []*time.Duration{&o.KeepAlive, &o.HandshakeTimeout, &o.SendTimeout, &o.IdleTimeout, &o.MaxAge} {
		*d = r.duration()
	}
	if key := r.uint32(); key != 0 {
		o.Store = sessionstore.Over(pageKV{callbacks{e.office, e.core, key}}) // which is there for longer than a session
	}
	o.StoreKeys = object[*keys.SharedKeyset](r)
	o.Logger, o.Notify, o.Refused = silent, e.notify, e.refused
	return o
}

const never = 1<<32 - 1 // of a duration: the session does not do it at all

// duration reads a number of milliseconds.
func (r *request) duration() time.Duration {
	n := r.uint32()
	if n == never {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

// notify tells JavaScript that a session has entered a state.
//
//	event = state text, session id text, kind text, remote text, missed number, error's fields where there is one
func (b callbacks) notify(e e2e.Event) {
	id := ""
	if e.Session != nil {
		id = e.Session.Info().ID
	}
	out := appendText(appendText(nil, e.State.String()), id)
	out = appendUint32(appendText(appendText(out, e.Transport.Kind), e.Transport.Remote), uint32(e.Missed))
	if e.Err != nil {
		out = appendError(out, e.Err)
	}
	b.office.tell(noticeEvent, b.key, out)
}

// refused tells JavaScript that the other end has refused a message of no call: an event whose state
// is "refused", and whose error says which and why.
func (b callbacks) refused(s *e2e.Session, why *e2e.RefusedError) {
	out := appendText(appendText(nil, "refused"), s.Info().ID)
	out = appendUint32(appendText(appendText(out, ""), ""), 0)
	b.office.tell(noticeEvent, b.key, appendError(out, why))
}

// dial asks JavaScript for a connection.
func (b callbacks) dial(address string, largest int) func(context.Context) (transport.Conn, error) {
	return func(ctx context.Context) (transport.Conn, error) {
		r, err := b.ask(ctx, callDial, appendUint32(nil, uint32(largest)))
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &transport.DialError{Target: address, Problem: messageOf(err)}
		}
		c := required[*conn](r)
		if err := r.done(); err != nil {
			return nil, err
		}
		return c, nil
	}
}

func messageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// credentials asks JavaScript what to show the server.
func (b callbacks) credentials(ctx context.Context) ([]byte, error) {
	r, err := b.ask(ctx, callCredentials, nil)
	if err != nil {
		return nil, err
	}
	shown := r.bytes()
	return shown, r.done()
}

// A pageKV keeps sessions in what JavaScript stores them in.
type pageKV struct{ callbacks }

var _ sessionstore.KV = pageKV{}

// Get is described at [sessionstore.KV], as the other methods.
func (kv pageKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	r, err := kv.ask(ctx, callGet, appendText(nil, key))
	if err != nil {
		return nil, 0, err
	}
	version, value := r.uint64(), r.bytes()
	if version == 0 {
		value = nil
	}
	return value, version, r.done()
}

func (kv pageKV) Put(ctx context.Context, key string, value []byte, version uint64, expires time.Time) (bool, error) {
	return kv.did(ctx, callPut, appendTime(appendUint64(appendBytes(appendText(nil, key), value), version), expires))
}

func (kv pageKV) Delete(ctx context.Context, key string, version uint64) (bool, error) {
	return kv.did(ctx, callDelete, appendUint64(appendText(nil, key), version))
}

func (kv pageKV) did(ctx context.Context, which callback, fields []byte) (bool, error) {
	r, err := kv.ask(ctx, which, fields)
	if err != nil {
		return false, err
	}
	return r.uint32() == 1, r.done()
}

func (kv pageKV) Keys(ctx context.Context, visit func(key string) bool) error {
	r, err := kv.ask(ctx, callKeys, nil)
	if err != nil {
		return err
	}
	for len(r.rest) > 0 {
		if key := r.text(); r.err == nil && !visit(key) {
			return nil
		}
	}
	return r.err
}

// client reads a connect, behind the ticket: ends, address text, options, shows credentials
// number, fingerprint text, tries number, time to try number, base number, cap number, name in the
// store text.
func (c *Core) readClient(r *request) (e ends, address string, cfg e2e.Config) {
	e = c.readEnds(r)
	address = r.text()
	cfg = e2e.Config{Identity: e.identity, Verifier: e.verifier, Protocol: e.protocol, Options: e.readOptions(r)}
	if r.uint32() == 1 {
		cfg.Credentials = e.credentials
	}
	if root := r.text(); root != "" && r.err == nil {
		var err error
		if cfg.PeerFingerprint, err = keys.ParseFingerprint(root); err != nil {
			r.fail(err)
		}
	}
	cfg.Retry.MaxTries, cfg.Retry.MaxTime = int(r.uint32()), r.duration()
	cfg.Retry.Base, cfg.Retry.Cap = r.duration(), r.duration()
	cfg.StoreName = r.text()
	return e, address, cfg
}
