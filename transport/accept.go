//go:build !js

package transport

import (
	"net/http"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/internal/hops"
)

// Accept upgrades a request to a WebSocket. If Accept fails it has answered the request, and the
// error is an [*AcceptError] with the status of that answer:
//
//   - 426, 405 or 400: the request is no WebSocket handshake.
//   - 403: there is no TLS on the way to the client ([ErrCleartext]), or a browser's page comes
//     from a foreign origin ([ErrOrigin]).
//   - 421: this server does not go by the name that was dialled ([ErrHost], see Hosts in
//     AcceptOptions).
//   - 401, 403 or 503: Authenticate does not let the client in ([ErrUnauthorized], [ErrForbidden]).
//   - 400: credentials or forwarding headers cannot be read.
//   - 429 or 503: the Gate has no room ([ErrRefused]).
//   - 500 or 501: this server is set up wrong.
//
// Over HTTP/1 the answer ends the connection.
//
// The ResponseWriter may be any wrapper that a framework puts around that of net/http, as long as
// [http.ResponseController] finds a Hijack below it. If there is none, as behind
// [http.TimeoutHandler], the error names the wrapper that is in the way. Accept writes the answer
// 101 to the socket itself, with the headers that middleware has set. A framework's access log does
// not see that answer; it shows the status that it shows for any hijacked connection.
//
// TLS is on the way if it is on this socket, or if a trusted hop says that the client used https.
//
// Without Authenticate nobody is authenticated. Accept lets a request without Origin in, because
// every browser sends one. A cookie proves nothing by itself, because browsers send it for any
// page.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	m, no := opts.Gate.admit(ClientAddr(r, opts.TrustedHops)) // first, because it is cheap
	if no != nil {
		return nil, no.answer(w, r)
	}
	var conn Conn
	status := http.StatusInternalServerError // stays so if the application panics below
	defer func() {
		if conn == nil {
			m.refused(status)
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

// admit checks everything that can be checked before the upgrade, the cheap checks first.
func admit(r *http.Request, opts *AcceptOptions) (e incoming, no *refusal) {
	if no := checkUpgrade(r); no != nil {
		return e, no
	}
	var err error
	if e.from, err = hops.Trace(r, opts.TrustedHops); err != nil {
		return e, &refusal{status: http.StatusBadRequest, clientText: "the forwarding headers of this request contradict each other", problem: err.Error()}
	}
	if no := checkPolicy(r, e.from, opts); no != nil {
		return e, no
	}
	if no := checkHost(r, e.from, opts.Hosts); no != nil {
		return e, no
	}
	if e.origin, err = checkOrigin(r, e.from, opts.Origins); err != nil {
		return e, &refusal{status: http.StatusForbidden, clientText: "pages of this origin may not connect here", problem: err.Error(), cause: ErrOrigin}
	}
	return e, authenticate(r, &e, opts)
}

func upgrade(t *takeover, r *http.Request, opts *AcceptOptions, e incoming) (Conn, *AcceptError) {
	subprotocol, w := choose(r.Header, opts.Subprotocols), newWrites()
	ws, err := websocket.Accept(t, upgradable(r, subprotocol), &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // checkOrigin is stricter: it compares schemes too
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     w.mayPong,
	})
	if err != nil {
		t.raw.Close()
		// The text does not quote the request: checkUpgrade has refused what the library would quote.
		return nil, &AcceptError{Status: http.StatusInternalServerError, Problem: safetext.Line(err.Error(), shownReason)}
	}
	info := e.info(r, t.socket)
	info.Subprotocol = subprotocol
	conn := newConn(ws, w, t.socket, info, opts.MaxMessage, opts.KeepAlive)
	conn.lease.set(e.grant, conn.expire)
	return conn, nil
}
