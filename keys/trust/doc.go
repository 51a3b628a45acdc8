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
// A Verifier gets two things: whom the caller [Expected], and the identity that answered, of which
// the signatures have been checked. For everybody else than the one who was expected it returns an
// [*Error] with a [Reason]. The application then asks a person, who compares fingerprints or a
// [SafetyNumber], admits the peer with [KnownPeers.Admit], and tries again. Nothing in this package
// waits for a person.
//
// [KnownPeers] are kept in a store, or by the application. An organisation that does not want to
// admit every peer everywhere has its own identity [Vouch] for them; its programs use an
// [Authority]. An owner who retires a root has it [Succeed] by another one.
//
// What is not decided here: what a peer may do. That is the application's, by fingerprint.
package trust
