// Package trust decides whether a peer is the one that the caller meant to reach.
//
// Most programs name the peers that they mean, or remember whom a person has admitted:
//
//	verifier := trust.Pinned(fingerprint)  // these peers and nobody else
//	verifier := store.KnownPeers()         // whom the user admitted, where it was admitted
//
// Packages e2e and envelope ask such a [Verifier] about every peer. There is no default.
//
// # What is decided, and by whom
//
// A Verifier gets two things: whom the caller [Expected], and the identity that answered, whose
// signatures have been checked. For everybody except the one who was expected it returns an [*Error]
// with a [Reason]. The application then asks a person, who compares fingerprints or a [SafetyNumber],
// admits the peer with [KnownPeers.Admit], and tries again. Nothing in this package waits for a
// person.
//
// A store or the application keeps the [KnownPeers]. An organisation that does not want to admit
// every peer everywhere lets its own identity [Vouch] for them, and its programs use an [Authority].
// An owner who retires a root lets another root [Succeed] it.
//
// This package does not decide what a peer may do. The application does, by fingerprint.
package trust
