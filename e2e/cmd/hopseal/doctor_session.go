//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
	"github.com/hopseal/hopseal/transport/redial"
)

// envCredentials names the variable with what a client shows a server beside its identity, inside the
// session's encryption. It is no flag, since everybody on the machine can read a command line.
const envCredentials = "HOPSEAL_CREDENTIALS"

// sessionFlags say who wants a session with whom. The doctor makes one if -protocol is given.
type sessionFlags struct {
	peer, protocol string
	proof          bool
}

func (f *sessionFlags) add(c *call) {
	c.storeFlag()
	c.StringVar(&f.peer, "peer", "", "the server must have this `fingerprint`; without it, one that the store admits at the URL's address")
	c.StringVar(&f.protocol, "protocol", "", "go on to a session that speaks this application protocol, `name`, as the identity in -store. Put credentials into "+envCredentials)
	c.BoolVar(&f.proof, "proof", false, "sign messages: Config.Proof of the service is ProofEd25519")
}

// wanted reports whether a session is to be made.
func (f *sessionFlags) wanted() bool { return f.protocol != "" }

// A client is the end of a session that the doctor plays.
type client struct {
	flags    sessionFlags
	cfg      e2e.Config
	verifier *recordingVerifier
}

// client opens the store, before anything is dialled.
func (f *sessionFlags) client(ctx context.Context, c *call) (*client, error) {
	var verifier trust.Verifier
	if f.peer != "" {
		fingerprint, err := keys.ParseFingerprint(f.peer)
		if err != nil {
			return nil, c.wrong("-peer wants a fingerprint: fp1 and 52 characters, as 'hopseal key show' prints it at the server")
		}
		verifier = trust.Pinned(fingerprint)
	}
	if !f.wanted() {
		if f.peer != "" || f.proof || flagGiven(c, "store") {
			return nil, c.wrong("-store, -peer and -proof are for a session, which wants -protocol NAME too")
		}
		return nil, nil
	}
	if len(f.protocol) > maxProtocol {
		return nil, c.wrong(fmt.Sprintf("-protocol wants a name of at most %d bytes", maxProtocol))
	}
	store, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	if verifier == nil {
		verifier = store.KnownPeers()
	}
	j := &recordingVerifier{Verifier: verifier}
	cfg := e2e.Config{
		Identity: store.Identity(), Verifier: j, Protocol: f.protocol, Options: e2e.Options{Logger: slog.New(slog.DiscardHandler)},
		Retry: redial.Policy{Decide: func(error) redial.Action { return redial.Stop }},
	}
	if f.proof {
		cfg.Proof = e2e.ProofEd25519
	}
	if credentials := c.getenv(envCredentials); credentials != "" {
		cfg.Credentials = func(context.Context) ([]byte, error) { return []byte(credentials), nil }
	}
	return &client{*f, cfg, j}, nil
}

const maxProtocol = 255

// flagGiven reports whether the call sets a flag.
func flagGiven(c *call, name string) (found bool) {
	c.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// A recordingVerifier is a Verifier that records which identity it was asked about.
type recordingVerifier struct {
	trust.Verifier
	seen *keys.PublicIdentity
	at   trust.Expected
}

func (j *recordingVerifier) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	j.seen, j.at = got, want
	return j.Verifier.Verify(ctx, want, got)
}

// dial makes a session with the server, closes it, and adds to the report what each end says about the
// other. The caller has found that connections reach the server.
func (cl *client) dial(ctx context.Context, url string, opts *transport.DialOptions, report *diagnose.Report) {
	begin := time.Now()
	cfg := cl.cfg
	cfg.Dial = opts
	session, err := e2e.Dial(ctx, url, cfg)
	if err == nil {
		switch session.Info().HopTLS { // which both ends have found out
		case e2e.HopUnbroken:
			report.HopTLS = diagnose.HopTLSUnbroken
		case e2e.HopReterminated:
			report.HopTLS = diagnose.HopTLSReTerminated
		}
		err = session.Close()
	}
	findings := cl.findings(err)
	findings[len(findings)-1].Took = time.Since(begin)
	report.Findings = append(report.Findings, findings...)
}

// findings says whether this end accepts the server, whether both speak the same protocol, and whether
// the server accepts this end, as far as the session got.
func (cl *client) findings(err error) []diagnose.Finding {
	server := diagnose.Finding{Step: "server", Result: diagnose.Passed}
	if cl.verifier.seen != nil {
		server.Saw = []string{"the server is " + cl.verifier.seen.String()}
	}
	protocol := diagnose.Finding{Step: "protocol", Result: diagnose.Passed, Saw: []string{"both ends speak " + safetext.Quote(cl.flags.protocol, maxProtocol)}}
	client := diagnose.Finding{Step: "client", Result: diagnose.Passed, Saw: []string{"this end is " + cl.cfg.Identity.Public().String()}}
	var failed *e2e.HandshakeError
	switch {
	case err == nil:
		return []diagnose.Finding{server, protocol, client}
	case cl.verifier.seen == nil && (errors.Is(err, keys.ErrExpired) || errors.Is(err, keys.ErrNotYetValid) || errors.Is(err, keys.ErrRevoked)):
		client.Result, client.Problem = diagnose.Failed, errorText(errors.Unwrap(err))
		return []diagnose.Finding{client}
	case !errors.As(err, &failed) && cl.verifier.seen == nil:
		server.Result, server.Problem = diagnose.Failed, errorText(err)
		return []diagnose.Finding{server}
	case !errors.As(err, &failed): // the session came about, and did not end well
		client.Result, client.Problem = diagnose.Warned, "the session did not end as it should: "+errorText(err)
		return []diagnose.Finding{server, protocol, client}
	case failed.Reason == e2e.ReasonUntrusted:
		cl.distrusted(&server, failed.Err)
		return []diagnose.Finding{server}
	case failed.Reason == e2e.ReasonProtocol:
		cl.otherProtocol(&protocol, failed.Err)
		return []diagnose.Finding{server, protocol}
	case cl.verifier.seen == nil: // before the server has said who it is
		cl.noServer(&server, failed)
		return []diagnose.Finding{server}
	}
	cl.refused(&client, failed)
	return []diagnose.Finding{server, protocol, client}
}

// distrusted fills in the finding for a server that this end does not trust.
func (cl *client) distrusted(f *diagnose.Finding, err error) {
	f.Result, f.Problem = diagnose.Failed, "this end does not have the server: "+errorText(err)
	var refusal *trust.Error
	if !errors.As(err, &refusal) {
		return
	}
	switch {
	case cl.flags.peer != "" && (refusal.Reason == trust.Unknown || refusal.Reason == trust.Changed):
		f.Problem = "this end does not have the server: it has another fingerprint than -peer says"
		f.Advice = "compare with what 'hopseal key show' prints at the server: correct -peer, or dial the server that is meant; somebody may be in the middle"
	case refusal.Reason == trust.Unknown:
		f.Problem = "this end does not have the server: the store admits nobody at " + safetext.Line(cl.verifier.at.Address, maxShownPath)
		f.Advice = "compare the fingerprint above with its owner, and give it as -peer, or admit it with 'hopseal key import -address URL'"
	case refusal.Reason == trust.Changed:
		f.Problem = "this end does not have the server: the store admits another one at " + safetext.Line(cl.verifier.at.Address, maxShownPath)
	}
}

// otherProtocol fills in the finding for two ends that do not speak the same protocol.
func (cl *client) otherProtocol(f *diagnose.Finding, err error) {
	f.Result, f.Saw, f.Problem = diagnose.Failed, nil, errorText(err)
	var other *e2e.ProtocolError
	switch {
	case !errors.As(err, &other):
	case other.Own != other.Theirs:
		f.Problem = fmt.Sprintf("neither end has the other: the server speaks %s, and -protocol says %s", safetext.Quote(other.Theirs, maxProtocol), safetext.Quote(other.Own, maxProtocol))
		f.Advice = "correct -protocol and Config.Protocol of the client, or Config.Protocol of the server: they have to be alike"
	case cl.flags.proof:
		f.Problem = "neither end has the other: the server does not sign messages as -proof does"
		f.Advice = "leave out -proof, or set Config.Proof alike at both ends"
	default:
		f.Problem = "neither end has the other: the server signs messages"
		f.Advice = "give -proof, or set Config.Proof alike at both ends"
	}
}

// noServer fills in the finding for a server that did not prove who it is.
func (cl *client) noServer(f *diagnose.Finding, failed *e2e.HandshakeError) {
	f.Result, f.Problem = diagnose.Failed, errorText(failed)
	switch failed.Reason {
	case e2e.ReasonLost, e2e.ReasonTimeout:
		f.Advice = "see whether this path is served by package e2e, in the same version, and what its log says of a handshake that failed"
	case e2e.ReasonNotAuthentic:
		f.Advice = "see whether both ends are of one version; if they are, something on the way changes messages"
	}
}

// refused fills in the finding for a server that does not accept this end.
func (cl *client) refused(f *diagnose.Finding, failed *e2e.HandshakeError) {
	f.Result, f.Problem = diagnose.Failed, errorText(failed)
	switch failed.Reason {
	case e2e.ReasonRefused:
		f.Problem, f.Advice = "the server does not have this end: it does not accept this identity", "ask its operator to admit the fingerprint above; the server's log says untrusted"
		if cl.cfg.Credentials != nil {
			f.Problem += ", or the credentials in " + envCredentials
			f.Advice += ", or unauthorized where it is the credentials"
		} else {
			f.Advice += ", or unauthorized where it wants credentials, which go into " + envCredentials
		}
	case e2e.ReasonIdentity:
		f.Problem, f.Advice = "the server says that the statement of this identity has expired, or is from the future", "run 'hopseal key rotate', and compare the clocks of both ends"
	case e2e.ReasonUnavailable:
		f.Problem, f.Advice = "the server does not have this end now: it has no room, is shutting down, or could not check", "try again later; the server's log says why"
	case e2e.ReasonLost, e2e.ReasonTimeout:
		f.Advice = "the server has not said whether it has this end: see its log"
	}
}

// errorText returns the text of an error without the names of packages.
func errorText(err error) string {
	text := err.Error()
	for _, prefix := range []string{"e2e: handshake: ", "e2e: ", "transport: ", "keys: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return safetext.Line(text, maxErrorText)
}
