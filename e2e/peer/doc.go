// Package peer makes sessions between two members of a relay: browsers, and whatever
// else cannot be dialled. The relay passes their frames on and learns no more than any
// other hop. Package e2e says what a session is, and package relay has the hub.
//
//	node, err := peer.Join(ctx, "wss://example.com/relay", "room", peer.Config{
//		Session: e2e.Config{Identity: me, Protocol: "chat/1"},
//		Members: map[string]keys.Fingerprint{"bob": bob, "carol": carol},
//	})
//	session, err := node.Dial(ctx, "bob") // begins one
//	session, err := node.Accept(ctx)      // or waits until somebody else does
//
// Programs that have a relay.Client of their own use [New], [Node.Use] and [Node.Handle].
//
// # Who is who
//
// A relay can give any member any name. That does no harm: whether a member dials or is dialled, it
// must prove the identity that is meant by its name. Members in [Config] says who that is, or else the
// Verifier of the session's Config, which is asked with the address of [Config.Address] and
// [trust.RoleMember]. trust.KnownPeers keeps an identity for each address; trust.Pinned does not, so
// with several identities it needs Members.
//
// # One session for two
//
// Two members have one session with each other at a time. If both dial at once, both get the session
// that the end with the lower fingerprint has dialled. If there is a session already, Dial returns it.
// A member that dials although there is one has lost its end, so its new session replaces the old one.
//
// Sessions outlive lost connections, of either member or of the relay itself. They go on over new
// links as soon as both members are there again under their names. Nothing that a relay, or a hop
// before it, says or answers ends a session.
//
// # Bounds
//
// A relay or a member cannot make a node keep more than this: some links whose other end has not proved
// who it is, in all and for each member, some bytes that wait on a link, and MaxSessions. Strangers in
// the topic who open links and prove nothing have half of MaxHandshakes in all. The other half is for
// sessions that reconnect and for members with whom there is one. A member whose link is refused is
// told to try later, and Dial does so.
package peer
