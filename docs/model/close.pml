/*
 * Close: who is told that everything has arrived has everything.
 *
 * One end sends messages, each in two pieces or more, and either end may close, in any way and
 * at any moment. The client sends, or the server does: the first comes back by itself,
 * the second waits for its client. Links are those of delivery.pml: frames arrive in
 * order or not at all, a cut takes what has not arrived, and the client notices it
 * sooner or later. An end that has closed is gone: it answers nobody who comes back. The
 * receiver may lose its process between two links, and with it the pieces of a message that
 * is not whole.
 *
 * Close waits until everything is acknowledged, on whatever links, for as long as it
 * likes. Then it says so, with the number of the last message. Whoever closes for another
 * cause does not wait.
 *
 * Each -D named in README.md takes one rule away.
 */

#ifndef N
#define N      2   /* messages, numbered from 1 */
#endif
#ifndef WIDTH
#define WIDTH  1   /* frames that a link holds each way */
#endif
#ifndef PIECES
#define PIECES 2   /* of each message */
#endif
#define LINKS  3   /* two cuts */

#define NONE   255

#define client 0
#define server 1

/* Codes of a close record. */
#define done       0
#define away       1
#define incomplete 6

mtype = { hello, part, data, ack, close };

/* wire[2*l + s]: on link l, what end s sent. Kind; a count, a message or a code; the
   number of the last message. */
chan wire[2*LINKS] = [WIDTH] of { mtype, byte, byte };

typedef End {
	byte link;
	bool greeted;   /* the other's hello on this link has come */
	bool over;
	bool lost       /* it was never told how the session ended */
}
End e[2];

byte S, R;          /* sender and receiver */
bool patient;       /* nobody closes but by Close, which waits for as long as it takes */

/* Sender. */
byte numbered;      /* messages that Send has taken */
byte sealed;        /* the last of them that was sent to its end on this link, or before it */
byte half;          /* pieces of the one behind that were sent on this link */
byte acked;
bool closing;       /* Close was called */

/* Receiver. */
byte got, told;
byte begun;         /* pieces that have come of the message behind */
bool complete;      /* it was told that it has everything */

#define in(s)  wire[2*e[s].link + 1 - (s)]
#define out(s) wire[2*e[s].link + (s)]
#define up(s)  (e[s].greeted && !e[s].over)

#define allSealed (sealed == numbered && half == 0)
#define allAcked  (acked == numbered)

/* Close returns no error only if everything has arrived: after its own word, or because
   the session is over by another. */
#ifdef NIL_WHEN_SEALED
#define success allSealed
#else
#define success allAcked
#endif
#ifdef NIL_WHEN_OVER
#define successOver true
#else
#define successOver success
#endif
inline returns(nothing) { assert(!(nothing) || got == numbered) }

#ifdef NO_LAST
#define CLOSES_UNSEALED
#endif

#ifdef LAST_IS_SEALED
#define last sealed
#else
#define last numbered
#endif

inline say(s, code, number) {
	out(s) ! close(code, number);
	e[s].over = true
}

#ifdef CLOSES_UNSEALED
#define mayDone true
#else
#ifdef CLOSES_INSIDE
#define mayDone (allSealed || sealed + 1 == numbered && half > 0)
#else
#define mayDone allSealed
#endif
#endif

/* The sender has waited for long enough. */
inline giveUp() {
	if
	:: mayDone -> say(S, done, last)
	:: !(mayDone) -> say(S, incomplete, last)
	fi;
	returns(success)
}

/* What a receiver makes of a close. */
inline hear(code, number) {
	if
	:: code == done ->
#ifndef NO_LAST
		assert(number == got && begun == 0);           /* no honest end fails by this */
#endif
		assert(got == numbered);                       /* complete is complete */
		complete = true
	:: else ->
		assert(number >= got && number == numbered);   /* it learns how many are missing */
		assert(code != incomplete || number > got)
	fi;
	e[R].over = true
}

inline sayHello(s) {
	if
	:: s == R -> out(s) ! hello(got, begun); told = NONE   /* a hello acknowledges nothing */
	:: else -> out(s) ! hello(0, 0)
	fi
}

/* A new link begins behind what the other end has, pieces too. */
inline greet(s, count, pieces) {
	if
	:: s == S -> sealed = count;
#ifdef BEGINS_ANEW
		half = 0
#else
#ifdef GOES_ON_BEHIND_SENT
		skip
#else
		half = pieces
#endif
#endif
	:: else
	fi;
	e[s].greeted = true
}

/* Before it says hello, an end may lose its process. */
inline arrive(s, to) {
	e[s].link = to;
	if
	:: s == R -> begun = 0
	:: true
	fi
}

#ifdef DROPS_PIECES
inline dropPieces(s) {
	if
	:: s == R -> begun = 0
	:: else
	fi
}
#else
#define dropPieces(s) skip
#endif

#define comes(s, l) (s == server && !e[s].over && (l > e[s].link || !e[s].greeted) && wire[2*(l) + client] ? [hello(_, _)])
inline move(s, to) {
	wire[2*(to) + client] ? hello(count, number);
	arrive(s, to);
	greet(s, count, number);
	sayHello(s);
	dropPieces(s);
	count = 0; number = 0
}

#ifdef STOPS_SENDING
#define maySend (!closing)
#else
#define maySend true
#endif

proctype end(byte s) {
	byte count, number;
	do
	/* Sender. */
	:: atomic { s == S && !e[s].over && !closing && numbered < N -> numbered++ }
	:: atomic { s == S && up(s) && maySend && sealed < numbered && half < PIECES-1 && nfull(out(s)) -> half++; out(s) ! part(sealed+1, half) }
	:: atomic { s == S && up(s) && maySend && sealed < numbered && half == PIECES-1 && nfull(out(s)) -> half = 0; sealed++; out(s) ! data(sealed, PIECES) }
	:: atomic { s == S && up(s) && in(s) ? [ack(_, _)] -> in(s) ? ack(count, _); assert(count >= acked && count <= got); acked = count; count = 0 }
	:: atomic { s == S && up(s) && in(s) ? [close(_, _)] -> in(s) ? close(_, _); e[s].over = true; returns(successOver) }

	/* It closes: it waits, gives up, or does not wait; with a link, or without one. */
	:: atomic { s == S && !e[s].over && !closing -> closing = true }
	:: atomic { s == S && up(s) && closing && allAcked && nfull(out(s)) -> say(s, done, last); returns(success) }
	:: atomic { s == S && up(s) && closing && !(allAcked) && !patient && nfull(out(s)) -> giveUp() }
	:: atomic { s == S && up(s) && !patient && nfull(out(s)) -> say(s, away, last); returns(success) }
	:: atomic { s == S && !e[s].over && !e[s].greeted && !patient -> e[s].over = true; returns(success) }

	/* Receiver. */
	:: atomic { s == R && up(s) && in(s) ? [part(_, _)] -> in(s) ? part(count, number); begun++; assert(count == got+1 && number == begun); count = 0; number = 0 }
	:: atomic { s == R && up(s) && in(s) ? [data(_, _)] -> in(s) ? data(count, number); assert(count == got+1 && number == begun+1); got = count; begun = 0; count = 0; number = 0 }
	:: atomic { s == R && up(s) && in(s) ? [close(_, _)] -> in(s) ? close(count, number); hear(count, number); count = 0; number = 0 }
	:: atomic { s == R && up(s) && told != got && nfull(out(s)) -> told = got; out(s) ! ack(told, 0) }
	:: atomic { s == R && up(s) && !patient && nfull(out(s)) -> say(s, done, 0) }

	/* The client gives the link up and comes back. */
	:: atomic { s == client && !e[s].over && e[s].link < LINKS-1 -> arrive(s, e[s].link+1); e[s].greeted = false; sayHello(s); dropPieces(s) }
	:: atomic { s == client && !e[s].over && !e[s].greeted && in(s) ? [hello(_, _)] -> in(s) ? hello(count, number); greet(s, count, number); count = 0; number = 0 }
	:: atomic { comes(s, 0) -> move(s, 0) }
	:: atomic { comes(s, 1) -> move(s, 1) }
	:: atomic { comes(s, 2) -> move(s, 2) }

	/* Whoever does not hear of the end is told, some day, that there may be more. */
	:: atomic { e[1-s].over && !e[s].over && (!e[s].greeted || len(in(s)) == 0) ->
		e[s].over = true;
		e[s].lost = true;
		if
		:: s == S -> returns(successOver)
		:: else
		fi
	   }
	:: atomic { e[client].over && e[server].over -> break }
	od;
	assert(!patient || got == numbered && (complete || e[R].lost))   /* a cut may take the last word */
}

init {
	atomic {
		if
		:: S = client; R = server
		:: S = server; R = client
		fi;
		if
		:: patient = true
		:: true
		fi;
		sayHello(client);
		run end(client);
		run end(server)
	}
}
