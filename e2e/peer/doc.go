// Package peer makes sessions between two members of a relay: browsers, and whatever
// else cannot be dialled. The relay passes their frames on and learns no more than any
// other hop; see package e2e for what a session is, and package relay for the hub.
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
// A relay can give any member any name. That does not matter: whether a member dials or is
// dialled, the identity that it has proved must be the one that is meant by its name. Either Members in
// [Config] says who that is, or the Verifier of the session's Config, which is asked with
// the address of [Config.Address] and [trust.RoleMember]. trust.KnownPeers keeps an identity
// for each address; trust.Pinned does not, so with several identities it needs Members.
//
// # One session for two
//
// Two members have one session with each other at a time. If both dial at once, the dial
// of the end with the lower fingerprint makes it, and both get that one. A Dial to somebody
// with whom there is a session returns that. A member that dials although there is one has
// lost its end, so its new session takes the place of the old one.
//
// Sessions come back when either member or the relay itself has lost its connection, over
// new links, as soon as both members are there again under their names. Nothing that a relay,
// or a hop before it, says or answers ends one.
//
// # Bounds
//
// What a relay or a member can make a node keep is bounded: links whose other end has not
// proved who it is, in all and of each member, the bytes that wait on a link, and the
// sessions. Strangers in the topic who open links and prove nothing have half of
// MaxHandshakes in all; the other half is for sessions that come back and for members with
// whom there is one. Whoever finds no place is told to try later, and Dial does.
package peer
