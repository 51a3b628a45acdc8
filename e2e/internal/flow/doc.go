// Package flow moves the messages of one session over its connections, one after the other.
//
// A [Flow] seals what its user submits and writes it to a [Line], which is one connection with the
// keys that are good on it. It reads the line, opens what comes and keeps it in the [Inbox]. When a
// line is lost, what has not arrived is sent again on the next one. The flow writes
// acknowledgements and other control records when they are due, and it ends the session when a
// limit is reached, when the peer breaks the rules, or when its user says so.
//
// It knows two rooms below: internal/engine, the protocol without I/O, and [transport.Conn]. Of
// what is above it knows a [User], which is a session, and the [Records] of one that is stored.
//
// # The way of a message
//
//	Submit -> sendOnce (signs) -> sendNow (seals) -> writePieces -> write -> Conn.Write
//	Conn.Read -> read (opens) -> readWhole -> parse -> Inbox, or User.Deliver -> Receive
//
// Neither way allocates memory but what the connection does. A goroutine waits in Receive for most
// of its life, so that way is also kept shallow: a deep stack is memory of every idle session.
//
// # Locks
//
// They are taken in this order, and any may be left out:
//
//  1. the turn to sign: one message at a time is signed for the next number;
//  2. the turn to send: whoever has it seals and writes, and what follows a new line is sent before
//     anybody else's messages;
//  3. the turn to receive: whoever has it reads the line. A sender takes it behind its own to read
//     the peer's last words; a receiver never waits for the turn to send;
//  4. whatever [Records] take: the record is stored before the frame that depends on it is written;
//  5. spool.mu, under which messages of a stored session are numbered;
//  6. whatever [Numberer.Numbered] takes: it is called under 2, and under 5 if the session is stored.
//     [User.Deliver] is called under 3;
//  7. the mutexes of Inbox, Limits, alarm, broadcast and Worker, and the lock of the engine. Nothing
//     is called under them that takes another lock.
//
// [User.Lost], [User.Found], [User.Ended] and [User.HungUp] are called under any of the turns or
// none, so they take none.
package flow
