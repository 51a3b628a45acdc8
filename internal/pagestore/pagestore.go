// Package pagestore lets the core of the npm package save what has changed, and not everything for
// each message that a page opens.
//
// The state of an identity and of a list of known peers never changes: a change makes another one.
// A replay guard does change, so it notes its claims for whoever follows it. The packages put their
// functions here when they are initialised, and only the core calls them: applications have
// ReplayGuard.Bytes.
package pagestore

// Functions that the packages put here.
var (
	// Peers takes a *trust.KnownPeers. It returns the same value for as long as nothing changes.
	Peers func(known any) (state any)

	// Follow has a *envelope.ReplayGuard note its claims in a new log, which replaces the log before.
	Follow func(guard any) *Log
	// Take returns what was noted since Follow, or since the last Take. It reports false if the log
	// is not the guard's any more, or has become too long: then only the whole guard says it.
	Take func(guard any, log *Log) (claims []byte, ok bool)
	// Apply adds to a guard what Take has returned.
	Apply func(guard any, claims []byte) error
	// Withdraw takes back the claim of a message that nobody has seen, so that it can be opened
	// later. The header is an envelope.Header.
	Withdraw func(guard, header any)
)

// MaxLog is how many bytes a log holds. What nobody takes does not fill the memory.
const MaxLog = 1 << 20

// A Log holds the claims of a guard that nobody has taken yet.
type Log struct {
	Claims []byte
	Lost   bool // some are missing
}
