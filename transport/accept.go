//go:build !js

package transport

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/internal/hops"
)

// AcceptOptions changes whom and what [Accept] takes. Nil means the zero value.
type AcceptOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// Origins lists the origins, beside the server's own, whose pages may
	// connect: scheme, host and, if it is not the scheme's own, port, such as
	// "https://app.example.com". The server's own origin is what the client
	// asked for: http or https, and the Host header. Something in front that
	// terminates TLS or rewrites Host changes both: list it in TrustedHops, or
	// the public origin here.
	Origins []string

	// Hosts lists the names by which clients reach this server, such as
	// "app.example.com"; any other gets 421, whoever asks for it. A port counts where
	// it is given, as 443 or 80 where the client leaves it out; "*.example.com" stands for all names below example.com, and "*"
	// for every name. What counts is the Host header, or what the hops in
	// TrustedHops say that the client asked for.
	//
	// If it is empty every name will do, except on a loopback address. There what
	// comes in the clear, from this machine as far as the hops in TrustedHops tell,
	// must have asked for localhost, a name below it, or a loopback address: web
	// pages can have their own names lead to 127.0.0.1, and would be this server's
	// own origin (DNS rebinding).
	Hosts []string

	// TrustedHops lists the addresses of the reverse proxies and load balancers
	// in front of this server. Where a request comes from one of them, what the
	// headers Forwarded (RFC 7239) or X-Forwarded-For, -Proto and -Host say about
	// the client counts, from the right as far back as the list reaches; from
	// anybody else they are ignored. Each hop has to write what it passes on: it
	// adds to what it got, or replaces it. Requests in which both kinds of header
	// arrive and disagree get 400, so make the outermost hop remove the one that
	// none of them writes. Who the peer is says the RemoteAddr of the request, so
	// no middleware may change that.
	TrustedHops []netip.Prefix

	// Authenticate, if set, is asked who the client is before it gets a
	// connection, and has 10 seconds for an answer. Nobody waits any longer: a call that
	// goes on keeps a goroutine, and one of 4,096 turns of the program. Nobody is let in with an
	// error: one that matches [ErrUnauthorized] makes it 401, [ErrForbidden] 403,
	// and any other 503, since a check that fails is no verdict: an
	// [*UnavailableError] says when to come back, and otherwise that is after 5 seconds. It has to decide
	// about clients that show no credential too. Credentials that come without
	// TLS are refused unasked. Do not repeat them in errors.
	Authenticate func(ctx context.Context, c *Caller) (Grant, error)

	// AuthCookie names a cookie whose value is taken for the bearer token where
	// the request holds no other. Browsers send cookies for any page, so it
	// counts only with an Origin, which has to be this server's own or listed;
	// without one the request is refused. Cookies that other hosts of the same
	// domain cannot set have names that start with "__Host-".
	AuthCookie string

	// TrustClientCert says that the hops in TrustedHops verify clients'
	// certificates, and always write or remove the header Client-Cert (RFC 9440),
	// so that Authenticate may rely on it. A hop that passes it on would let
	// anybody in with a certificate that is not his.
	TrustClientCert bool

	// Subprotocols lists the subprotocols that this server speaks, the preferred
	// one first. The first that the client offers too is chosen, see
	// Info.Subprotocol. Where there is none in common the connection has none,
	// which a browser that offered some does not take.
	Subprotocols []string

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that everything that will cross this link is sealed above it,
	// as package e2e does. Then ws:// is accepted, for nothing else.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// KeepAlive is the time between pings, which notice that the client is gone
	// while a Read waits, and keep proxies from forgetting the connection. Zero
	// means DefaultKeepAlive, a negative value no pings.
	KeepAlive time.Duration

	// Gate bounds how many clients connect and what they may do, and tells what
	// they did. Nil means no bounds beside the others here.
	Gate *Gate
}

// Accept upgrades a request to a WebSocket. If it fails it has answered the
// request, and the error is an [*AcceptError] with the status of that answer: 426,
// 405 or 400 where the request is no WebSocket handshake; 403 where there is no TLS
// on the way to the client ([ErrCleartext]), or a browser's page comes from a
// foreign origin ([ErrOrigin]); 421 where this server does not go by the name that
// was dialled ([ErrHost], see Hosts in AcceptOptions); 401, 403 or 503 where Authenticate does not let the
// client in ([ErrUnauthorized], [ErrForbidden]); 400 for credentials or forwarding
// headers that cannot be read; 429 or 503 where the Gate has no room
// ([ErrRefused]); 500 or 501 where this server is set up wrong. By HTTP/1 the answer
// ends the connection.
//
// The ResponseWriter may be whatever a framework wraps around that of net/http, as long
// as [http.ResponseController] finds a way to its Hijack. If there is none, as behind
// [http.TimeoutHandler], the error says what is in the way. The answer 101 is written to
// the socket itself, with the headers that middleware has set; a framework's access log
// does not see it, and shows whatever status it shows for a connection that it gave away.
//
// TLS is on the way if it is on this socket, or if a trusted hop says that the
// client used https.
//
// Nobody is authenticated without Authenticate. A missing Origin is accepted,
// because only browsers send it; a cookie proves nothing by itself, because
// browsers send it for any page.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	m, no := opts.Gate.admit(ClientAddr(r, opts.TrustedHops)) // before any other work
	if no != nil {
		return nil, no.answer(w, r)
	}
	var conn Conn
	status := http.StatusInternalServerError // where the application panics in here
	defer func() {
		if conn == nil {
			m.settle(status)
		}
	}()
	conn, err := accept(w, r, m, opts)
	if err != nil {
		status = err.Status
		return nil, err
	}
	return conn, nil
}

func accept(w http.ResponseWriter, r *http.Request, m *meter, opts *AcceptOptions) (Conn, *AcceptError) {
	entry, no := admit(r, opts)
	if no != nil {
		return nil, no.answer(w, r)
	}
	socket, no := takeOver(w, m)
	if no != nil {
		return nil, no.answer(w, r)
	}
	return upgrade(socket, r, opts, entry)
}

// An entrant is a request that may become a connection.
type entrant struct {
	from   hops.Route
	origin string // of a browser's page, or ""
	grant  Grant
}

// admit checks everything that can be checked before the upgrade, what is cheap
// first.
func admit(r *http.Request, opts *AcceptOptions) (e entrant, no *refusal) {
	if no := checkUpgrade(r); no != nil {
		return e, no
	}
	var err error
	if e.from, err = hops.Trace(r, opts.TrustedHops); err != nil {
		return e, &refusal{status: http.StatusBadRequest, told: "the forwarding headers of this request contradict each other", problem: err.Error()}
	}
	if no := checkPolicy(r, e.from, opts); no != nil {
		return e, no
	}
	if no := checkHost(r, e.from, opts.Hosts); no != nil {
		return e, no
	}
	if e.origin, err = checkOrigin(r, e.from, opts.Origins); err != nil {
		return e, &refusal{status: http.StatusForbidden, told: "pages of this origin may not connect here", problem: err.Error(), cause: ErrOrigin}
	}
	return e, authenticate(r, &e, opts)
}

func upgrade(t *takeover, r *http.Request, opts *AcceptOptions, e entrant) (Conn, *AcceptError) {
	subprotocol, w := choose(r.Header, opts.Subprotocols), newWrites()
	ws, err := websocket.Accept(t, upgradable(r, subprotocol), &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // checkOrigin is stricter: it compares schemes too
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     w.letPong,
	})
	if err != nil {
		t.raw.Close()
		// checkUpgrade has seen to it that this does not quote the request.
		return nil, &AcceptError{Status: http.StatusInternalServerError, Problem: safetext.Line(err.Error(), shownReason)}
	}
	info := e.info(r, t.socket)
	info.Subprotocol = subprotocol
	conn := newConn(ws, w, t.socket, info, opts.MaxMessage, opts.KeepAlive)
	conn.lease.take(e.grant, conn.expire)
	return conn, nil
}

func (e entrant) info(r *http.Request, socket net.Conn) Info {
	return Info{
		Kind:   kindOf(e.from),
		Local:  socket.LocalAddr().String(),
		Remote: safetext.Line(nextHop(r), shownTarget),
		Client: e.from.Address(r),
		Origin: e.origin,

		Principal: e.grant.Principal,
		Expires:   e.grant.Expires,

		TLS: describeTLS(r.TLS),
	}
}

func nextHop(r *http.Request) string { return cmp.Or(hops.TunnelOf(r).Hop, r.RemoteAddr) }

func kindOf(from hops.Route) string {
	if from.Secure {
		return "wss"
	}
	return "ws"
}
