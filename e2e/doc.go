// Package e2e makes a connection that nobody between its two ends can read or
// change, over any link that carries messages: a WebSocket behind load balancers,
// CDNs and corporate proxies, a relay, a pipe in memory.
//
// A client calls [Dial]. A server calls [NewServer], which returns an http.Handler:
//
//	session, err := e2e.Dial(ctx, "wss://example.com/echo", e2e.Config{
//		Identity: me,
//		Verifier: trust.Pinned(server),
//		Protocol: "echo/1",
//	})
//	err = session.Send(ctx, []byte("hello"))
//	reply, err := session.Receive(ctx)
//
//	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: me, Verifier: clients, Protocol: "echo/1"}, echo)
//	http.Handle("/echo", srv)
//
// Programs that already hold a [transport.Conn] use [Connect] and [Accept].
//
// TLS protects one hop: whoever terminates it has the plaintext. Here the two programs
// agree on keys with each other, inside the link, and seal every message from one to the
// other. docs/protocol-session.md specifies the protocol.
//
// # What is protected
//
// Before Dial returns, and before a server's function runs, each end has proved to
// the other that it holds the keys of its identity, and the other's [trust.Verifier] has
// accepted that identity. AES-256-GCM then encrypts and authenticates every message, under
// keys derived from both identities, so whoever opens a message knows who sealed it.
// Messages arrive whole, once and in order, over as many connections as it takes.
// Otherwise the session ends with an error that lists the messages not known to have
// arrived ([GapError]). An end can tell whether its peer meant to end the session.
//
// Recorded traffic stays closed when long-term keys leak later, and to a quantum
// computer: the key exchange is X25519 with ML-KEM-768. A session in use repeats the
// exchange every quarter of an hour. That shuts out again whoever has stolen an end's
// keys and only listens. The proofs of identity are Ed25519: a quantum computer that
// exists while a session begins could forge them. Whoever listens does not learn who the
// ends are. Only the server that a client meant learns who the client is.
//
// # What is not
//
// Every hop sees that the two ends talk, when, for how long, in which direction,
// and the size of each message in coarse buckets. It can cut the connection. It can tell
// a client's first message, which is public, from others. Anybody who can reach a server
// can dial it and learn its identity.
//
// AES-GCM authenticates messages under keys bound to both identities. They are not signed
// by default. Each end knows what the other has said, but cannot prove it to others. If an end may
// have to show a third party what the other has sent, such as an order, both ends ask for
// signatures with [Options.Proof]. They keep the [Message.Proof] of what matters, and
// [VerifyProof] checks it later.
//
// # Identity
//
// The identity comes from a [keystore.Store]. The store's Run renews the identity's
// statement about itself, which is valid for 30 days. NewServer and Dial refuse an own
// identity that has expired ([keys.ErrExpired]). Servers and sessions warn [Options.Logger]
// 7, 3 and 1 days ahead, and [Stats] tell the time.
//
//	store, err := keystore.Open(ctx, path, secret)
//	go store.Run(ctx, keystore.DefaultRotation)
//	cfg := e2e.Config{Identity: store.Identity(), …}
//
// # Messages
//
// Send and Receive carry bytes. [Session.SendMessage] gives them a type, [Session.Call]
// waits for the other end's answer, and [Session.Serve] answers there. Package
// [github.com/hopseal/hopseal/e2e/mux] serves each type by a function of its own, and
// sends and receives Go values. If an end refuses a message the sender gets a
// [RefusedError], from Call or through [Options.Refused], and the session goes on.
//
//	m := mux.New()
//	mux.HandleFunc(m, "order.create", func(ctx context.Context, o Order) (Receipt, error) { … })
//	srv, err := e2e.NewServer(cfg, m.Serve)
//
//	receipt, err := mux.CallValue[Receipt](ctx, session, "order.create", order)
//
// # Coming back
//
// A session outlives its connections. When one is lost the client dials again, as
// [Config.Retry] says. Both ends prove anew that they hold the session's secret, and ask
// their Verifiers again. The server's function keeps running meanwhile: its Send and
// Receive wait, like the client's. The ends send again what had not arrived.
// [Options.Notify] tells of it.
//
// With a [Options.Store] a session outlives its processes too. Both ends may have one, or
// one of them.
//
// A session ends when the server no longer knows it, because the server was restarted or
// the session has waited for longer than its limits allow. It also ends when an end is no
// longer trusted, and after [Options.MaxAge]. Nothing that is said outside the encryption
// ends a session that was secure once: no answer to a dial, whatever its status, no
// certificate, no close code. While a hop answers in the server's place the client goes on
// trying, and tells [Options.Notify] each time what it met.
//
// When a session ends in this way, a [GapError] at each end lists which of the messages it
// sent may be lost. A new session sends none of them unless the application does so: the
// other end may have had them.
//
// # Who may come, and for how long
//
// A client may show credentials beside its identity, such as a token that says which
// user it acts for: [Config.Credentials]. They travel inside the encryption, and the
// server's [ServerConfig.Authenticate] decides on them. [Session.Peer] returns what it
// found, and its grant may have an end. Each connection of a session shows credentials
// anew, and an open session does so before they expire. What was refused never comes back.
//
// A wrong clock can make a statement or credentials seem expired or not yet valid. That
// refuses a handshake, or an attempt to go on with a session, but ends no session: the
// client tries again, and the session waits for it. The session's own limits, [Grant]
// among them, are measured, so no clock moves them.
//
// When an identity is rotated, by its [keystore.Store] for instance, open sessions tell the
// other end, which asks its Verifier about it. A revoked identity ends them. A Verifier
// that tells of changes also ends them, within a second, when it no longer trusts the other
// end ([trust.ChangeNotifier]: [trust.KnownPeers], of a store or a replica that follows it,
// [trust.Authority]). A program that learns of changes in another way calls
// [Server.Recheck].
//
// # Streams of bytes
//
// Package [github.com/hopseal/hopseal/e2e/netconn] makes a session a net.Conn, and a server a
// net.Listener. HTTP, gRPC and yamux run inside sessions unchanged, and notice nothing when
// a link is cut.
//
// Send what has no bound, such as a file, as a stream: [Session.SendStream] and
// [Session.ReceiveStream] take constant memory, several at a time and between messages. If the
// other end does not read a stream, its writer waits, and nothing else does. Whoever writes a
// stream by [Session.OpenStream] ends it by [StreamWriter.Finish]. A stream that is closed
// before that, such as by a deferred Close, never reads as complete.
//
// # Watching
//
// [Options.Notify] receives each state of a session and of each connection, with what is
// known about its next hop. [Session.Stats] and [Server.Stats] return figures; package
// e2e/prom, a module of its own, hands them to Prometheus. [Options.Logger] writes it all
// down. None of them ever holds a message, a key or a credential. [Info.ID] names a session
// in the logs of both ends.
//
// # What the caller must do
//
// Decide whom to trust: there is no default for [Config.Verifier]. Choose the same
// [Config.Protocol] at both ends. Keep receiving: if an application takes nothing the
// other end waits, and in the end gives up. Call [Session.Flush] where it matters that
// messages have arrived; Send does not say so.
//
// # Concurrency
//
// All methods may be called at the same time. Send and Receive do not wait for
// each other; calls of the same kind take turns.
package e2e
