// Package streams has the byte streams of one session: of any length, several at a time and
// between its messages, in constant memory at both ends.
//
// [Streams] knows its session as a [Session], a small interface that package e2e implements. The
// session hands every message of a stream that it receives to [Streams.Deliver], and tells a
// [Writer] when a message has its number. Everything else goes from here to the session.
//
// # One stream
//
// A message that opens a stream gives it its number. Pieces follow, then an end that says how many
// bytes there were, or an abort. The receiver answers with credits while it reads, and at last
// with done, or with cancel if it does not want the rest:
//
//	sender             receiver
//	open    ->
//	pieces  ->
//	                <- credit, as the application reads
//	pieces  ->
//	end     ->
//	                <- done, when the application has read all
//
// # Memory
//
// Each end may have [Max] streams under way. The receiver holds at most 16 KiB of unread data for
// each stream, plus one window for all of them together: credit.go says how. It holds that in
// chunks, so that small pieces need no more memory than they have bytes, and keeps up to four
// empty chunks of 64 KiB for what comes next. The application has at most Max readers that it is
// not done with. The sender keeps no piece: its session does, until the peer acknowledges it.
//
// # Locks
//
// Locks are taken in this order. Any of them may be left out:
//
//  1. The turn of a [Writer]. One call has it while it sends or waits.
//  2. The locks of the session. [Session.Submit] takes its lock for sending, and calls
//     [Writer.Numbered] under it. [Streams.Deliver] is called under its lock for receiving.
//  3. The mu of a [Reader].
//  4. The mu of [Streams].
//  5. What contexts, [Session.Sent], [Session.AnswersTo] and [Session.Err] take. No other method
//     of the session is called under a mu.
package streams
