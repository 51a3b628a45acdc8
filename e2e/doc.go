// Package e2e makes a connection that nobody between its two ends can read or
// change, over any link that carries messages: a WebSocket behind load balancers,
// CDNs and corporate proxies, a relay, a pipe in memory.
//
// TLS protects one hop; whoever terminates it has the plaintext. Here the ends
// themselves agree on keys, inside the link, and every message is sealed from one
// program to the other. The protocol is specified in docs/protocol-session.md.
//
// A client dials, a server is an http.Handler:
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
// # What is protected
//
// Before Dial returns, and before a server's function runs, each end has proved to
// the other that it holds the keys of its identity, and its [trust.Verifier] has
// said that the identity is the one it meant. Every message is then encrypted and
// authenticated with AES-256-GCM under keys that both identities went into, so who
// opens a message knows who sealed it. Messages arrive whole, once and in order, over as
// many connections as it takes, or the session ends with an error that says which
// messages are not known to have arrived ([GapError]); an end of the conversation that the
// peer did not intend is told from one that it did.
//
// Recorded traffic stays closed when long-term keys leak later, and to a quantum
// computer: the key exchange is X25519 with ML-KEM-768. It is done again every quarter
// of an hour that a session is in use, so that whoever has stolen an end's keys, and
// does no more than listen, is shut out again. The proofs of identity are
// Ed25519: a quantum computer that exists while a session begins could forge them.
// Who the ends are is hidden from whoever listens, and who the client is from
// everybody but the server that it meant.
//
// # What is not
//
// Every hop sees that the two ends talk, when, for how long, in which direction,
// and the size of each message in coarse buckets. It can cut the connection. It
// can tell apart a client's first message, which is public, from others. Anybody
// who can reach a server can learn its identity by dialling it.
//
// Messages are authenticated by AES-GCM under keys bound to both identities, and not
// signed: the ends can each prove to themselves, but not to others, what was said. Where
// one may have to show to a third party what the other has sent, such as an order, both
// ends ask for signatures with [Options.Proof], keep the [Message.Proof] of what matters,
// and later have it checked by [VerifyProof].
//
// The identity comes from a [keystore.Store], whose Run keeps it alive: what it says of itself counts for
// 30 days. NewServer and Dial refuse one of their own that has expired ([keys.ErrExpired]); a
// [Options.Logger] is told 7, 3 and 1 days ahead, and [Stats] say when.
//
//	store, err := keystore.Open(ctx, path, secret)
//	go store.Run(ctx, keystore.DefaultRotation)
//	cfg := e2e.Config{Identity: store.Identity(), …}
//
// # Messages
//
// Send and Receive carry bytes. [Session.SendMessage] gives them a type, [Session.Call]
// waits for what the other end answers, and [Session.Serve] answers there. Package
// [github.com/hopseal/hopseal/e2e/mux] serves each type by a function of its own, and
// sends and receives Go values. What an end does not take it refuses: the sender gets a
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
// [Config.Retry] says, and both ends prove anew that they hold the session's secret;
// their Verifiers are asked again. The server's function runs on meanwhile: its Send and
// Receive wait, like the client's. What had not arrived is sent again. [Options.Notify]
// tells of it.
//
// With a [Options.Store] a session outlives its processes too. Both ends may have one, or
// one of them.
//
// A session ends when the server does not know it any more, because it was restarted or
// has let it wait for longer than its limits allow, when an end is not trusted any
// more, and after [Options.MaxAge]. Nothing that is said outside the encryption ends one that
// was secure once: no answer to a dial, whatever its status, no certificate, no close code.
// While a hop answers in the server's place the client goes on trying, and tells
// [Options.Notify] each time what it met. Then a [GapError] lists what may be lost, at each end
// for what it sent. Nothing of it is sent over a new session unless the application
// does so: the other end may have had it.
//
// # Who may come, and for how long
//
// A client may show credentials beside its identity, such as a token that says which
// user it acts for: [Config.Credentials]. They travel inside the encryption, and
// [ServerConfig.Authenticate] of the server decides on them; what it finds is in
// [Session.Peer] and what it grants has an end. Each connection of a session shows them
// anew, and an open session does so ahead of their expiry. What was refused never comes back.
//
// A statement or credentials that are out of their time by a clock, which may be wrong, refuse
// a handshake, or an attempt to go on with a session, and end no session: the client tries
// again, and the session waits for it. Its own limits, [Grant] among them, are measured.
//
// When an identity is rotated, by its [keystore.Store] for instance, open sessions tell the
// other end, whose Verifier is asked about it. A revoked one ends them. So does a Verifier
// that tells of changes ([trust.ChangeNotifier]: [trust.KnownPeers], of a store or a
// replica that follows it, [trust.Authority]) and does not trust the other end any more,
// within a second. Who learns of that in another way calls [Server.Recheck].
//
// # Streams of bytes
//
// Package [github.com/hopseal/hopseal/e2e/netconn] makes a session a net.Conn, and a server a
// net.Listener, so that HTTP, gRPC or yamux run inside of sessions unchanged, and notice
// nothing when a link is cut.
//
// Send what has no bound, such as a file, as a stream: [Session.SendStream] and
// [Session.ReceiveStream] take constant memory, several at a time and between messages. If the
// other end does not read a stream, its writer waits, and nothing else does. Whoever writes a
// stream by [Session.OpenStream] ends it by [StreamWriter.Finish]. A stream that is closed
// before that, such as by a deferred Close, never reads as complete.
//
// # Watching
//
// [Options.Notify] is told of each state of a session and of each connection, with what is
// known about its next hop. [Session.Stats] and [Server.Stats] have the figures, for
// whoever asks; package e2e/prom, a module of its own, hands them to Prometheus.
// [Options.Logger] writes it all down. None of them ever holds a message, a key or a
// credential. [Info.ID] names a session in the logs of both ends.
//
// # What the caller must do
//
// Decide whom to trust: there is no default for [Config.Verifier]. Choose the same
// [Config.Protocol] at both ends. Keep receiving: an end whose application takes
// nothing makes the other one wait, and in the end give up. Ask [Session.Flush]
// where it matters that messages have arrived; Send does not say so.
//
// # Concurrency
//
// All methods may be called at the same time. Send and Receive do not wait for
// each other; calls of the same kind take turns.
package e2e
