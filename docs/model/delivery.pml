/*
 * Delivery: two ends send to each other at the same time, over links that are cut,
 * and every message arrives exactly once and in order.
 *
 * A link carries a hello each way, and then data and acknowledgements. Its frames
 * arrive in order or not at all: the record layer ends a link at the first one that
 * is missing, changed or repeated. A cut takes what has not arrived. The client
 * notices it, sooner or later, and comes back on a new link; the server learns of
 * it by that. Links are narrow: one frame each way, and a writer waits.
 *
 * Each -D named in README.md takes one rule away.
 */

#ifndef N
#define N      2   /* messages each way, numbered from 1 */
#endif
#ifndef WINDOW
#define WINDOW 1   /* messages that a receiver has room for */
#endif
#ifndef WIDTH
#define WIDTH  1   /* frames that a link holds each way */
#endif
#define LINKS  3   /* two cuts */

#define client 0
#define server 1

mtype = { hello, data, ack };

/* wire[2*l + s]: on link l, what end s sent. Kind; a count, or a message; credit. */
chan wire[2*LINKS] = [WIDTH] of { mtype, byte, byte };

typedef End {
	byte link;
	bool greeted;      /* the other's hello on this link has come */

	byte sent;         /* the last message on this link, or before it */
	byte highest;      /* the last message on any link */
	byte acked;        /* received by the other end for certain, and forgotten here */
	byte credit;       /* the last message that the other end has room for */

	byte got;          /* received, in order, without a gap */
	byte taken;        /* of these, by the application */
	byte told, room    /* what the other end was last told on this link */
}
End e[2];

#define in(s)    wire[2*e[s].link + 1 - (s)]
#define out(s)   wire[2*e[s].link + (s)]
#define all(s)   (e[s].acked == N && e[s].taken == N)

/* What the other end says it has: never less than before, never what was not sent. */
inline acknowledge(s, count) {
	assert(count >= e[s].acked && count <= e[s].highest);
	assert(count <= e[1-s].got);   /* what Flush waits for is true */
	e[s].acked = count
}

/* A new link begins behind what the other end has received. */
inline greet(s, count) {
	acknowledge(s, count);
#ifdef RESENDS_ALL
	e[s].sent = 0;
#else
#ifdef FORGETS_WHEN_SENT
	e[s].sent = e[s].highest;
#else
	e[s].sent = count;
#endif
#endif
	e[s].greeted = true
}

inline sayHello(s) {
	out(s) ! hello(e[s].got, 0);
	e[s].told = e[s].got;
#ifndef KEEPS_TOLD
	e[s].room = 0   /* the credit that the last link may have lost is given again */
#endif
}

inline takeData(s, n) {
	assert(n == e[s].got + 1);   /* exactly once, in order */
	e[s].got = n;
	assert(e[s].got - e[s].taken <= WINDOW)   /* and only as many as there is room for */
}

#ifdef NO_CREDIT
#define mayData(s) (e[s].greeted && e[s].sent < N)
#else
#define mayData(s) (e[s].greeted && e[s].sent < N && e[s].sent < e[s].credit)
#endif

#define news(s) (e[s].greeted && (e[s].told != e[s].got || e[s].room != e[s].taken + WINDOW))
#ifdef CONTROL_NEEDS_CREDIT
#define mayAck(s) (news(s) && e[s].sent < e[s].credit)
#else
#define mayAck(s) news(s)
#endif

#ifdef STOPS_READING
#define free(s) true
#else
#define free(s) nfull(out(s))
#endif

inline sendData(s) {
	e[s].sent++;
	if
	:: e[s].sent > e[s].highest -> e[s].highest = e[s].sent
	:: else
	fi;
	out(s) ! data(e[s].sent, 0)
}

inline sendAck(s) {
	e[s].told = e[s].got;
	e[s].room = e[s].taken + WINDOW;
	out(s) ! ack(e[s].told, e[s].room)
}

#define comes(s, l) (s == server && (l > e[s].link || !e[s].greeted) && wire[2*(l) + client] ? [hello(_, _)])
inline move(s, l) {
	wire[2*(l) + client] ? hello(count, _);
#ifdef HELLO_REPLAYED
	count = 0;   /* what the first hello of all said */
#endif
	e[s].link = l;
	greet(s, count);
	sayHello(s);
	count = 0
}

proctype end(byte s) {
	byte count, credit;
	do
	/* An end that cannot write reads all the same. */
	:: atomic { mayData(s) && free(s) -> sendData(s) }
	:: atomic { mayAck(s) && free(s) -> sendAck(s) }

	:: atomic { e[s].greeted && in(s) ? [data(count, _)] -> in(s) ? data(count, _); takeData(s, count); count = 0 }
	:: atomic {
		e[s].greeted && in(s) ? [ack(count, credit)] -> in(s) ? ack(count, credit);
		acknowledge(s, count);
		assert(credit >= e[s].credit);
		e[s].credit = credit;
		count = 0; credit = 0
	   }
	:: atomic { e[s].taken < e[s].got -> e[s].taken++ }

	/* The client gives the link up and comes back. */
	:: atomic {
		s == client && e[s].link < LINKS-1 ->
		e[s].link++;
		e[s].greeted = false;
		sayHello(s)
	   }
	:: atomic {
		s == client && !e[s].greeted && in(s) ? [hello(count, _)] -> in(s) ? hello(count, _);
		greet(s, count);
		count = 0
	   }

	/* The server moves to a link that is newer than its own, and for good. */
	:: atomic { comes(s, 0) -> move(s, 0) }
	:: atomic { comes(s, 1) -> move(s, 1) }
	:: atomic { comes(s, 2) -> move(s, 2) }

#ifdef READS_OLD_LINK
	:: atomic { e[s].link > 0 && wire[2*e[s].link - 2 + 1 - s] ? [data(count, _)] ->
		wire[2*e[s].link - 2 + 1 - s] ? data(count, _); takeData(s, count); count = 0 }
#endif
	:: all(client) && all(server) -> break
	od
}

init {
	atomic {
		sayHello(client);
		run end(client);
		run end(server)
	}
}
