/*
 * Session: what a server makes of attempts to come back and of updates, while the
 * application decides on identities and credentials, and each end says how much has
 * arrived.
 *
 *	client                                          server
 *	  hello: attempt, received, identity,    ->
 *	         credentials                              asks the application
 *	                                         <-     counts it, or not
 *
 * and on a link messages go one way, acknowledgements and updates the other:
 *
 *	  update: identity, credentials          ->
 *	                                                  asks the application
 *	                                         <-     answers
 *
 * The hop holds hellos back as long as it likes. A link keeps its records in order and
 * can lose only its end; what is on it arrives at any time, also when the client has left
 * it. The application answers in its own time, and says of an identity what it likes: yes,
 * no, or that it cannot tell. Credentials are good until they expire, and a client has
 * new ones then. What is before a hello is in resume.pml.
 *
 * Secrets are numbers, as there: 0 is the first, attempt k makes secret k. So are the
 * statements of an identity, and credentials: the later, the higher. Each -D named in
 * README.md takes one rule away.
 */

#ifndef K
#define K      2   /* attempts, and one more that is undisturbed */
#endif
#ifndef M
#define M      1   /* messages of the server */
#endif
#define IDS    2   /* statements of the client's identity */
#define ISSUES 2   /* credentials that expire, and others behind them */
#define NONE   255

mtype = { message, answer, ack, update };

/* On link k, what the client has sent: kind, number or identity, credentials; and what the
   server has: kind, number or whether it has accepted. */
chan up[K+2]   = [2] of { mtype, byte, byte };
chan down[K+2] = [1] of { mtype, byte, byte };

mtype = { held, asked, gone };           /* by the hop; the application; answered */
mtype = { yes, no, unsure, expired };    /* what the application says */
typedef Attempt {                        /* number k would make link k */
	byte under, number;              /* its secret, and which one with that it is */
	byte position;                   /* messages received */
	byte id, credentials;
	mtype state, verdict;
	bool counted;                    /* when it arrived */
	bool committed
}
Attempt a[K+2];

/* Client. */
byte at;                    /* its last attempt */
byte has, tries;            /* its secret, and how many attempts it has made with it */
byte mine;                  /* its link, or NONE */
byte adopted;               /* the last attempt that has succeeded */
byte got, confirmed;        /* messages that it has; and has acknowledged on this link */
byte id;                    /* its identity */
byte fresh = 1, stale;      /* the last credentials that were issued, that have expired */
byte shownId, shown = 1;    /* what it has told last */
bool telling;               /* in an update that is not answered */

/* Server. */
byte cur, next = NONE, number;   /* R, R', and the highest attempt committed under R */
byte its;                        /* its link */
byte sent, highest, acked;       /* messages: on this link or before it, on any, for certain */
byte known;                      /* the client's latest statement, which signatures are checked by */
byte peer, entitled = 1;         /* the one that was accepted, and the credentials */
bool doomed;                     /* the session ends unless another attempt succeeds in time */
byte doomedBy;
bool over;

typedef Offer { bool is; byte link, id, credentials; mtype verdict }
Offer offer;                     /* an update that the application was asked about */

bool said[IDS];                  /* the application has said yes to this statement */
#define welcome(who) ((who) == 0 || said[who])

/* Nothing that the client has left behind for an attempt that has succeeded ends the session. */
inline finish(k) {
	assert(adopted <= k);
	over = true
}

inline ask(says, who, what) {
	if
	:: says = no
	:: says = unsure
	:: what > stale -> says = yes; said[who] = true
	:: what <= stale -> says = expired
	fi
}

inline accept(who, what) {
	assert(welcome(who));
	assert(who >= peer && what >= entitled);   /* never back to what was before */
	peer = who;
	known = who;
	entitled = what
}

inline present() {
	if
	:: fresh == stale -> fresh++
	:: else
	fi;
	shownId = id;
	shown = fresh
}

inline begin() {
	if
	:: mine != NONE -> drain(down[mine])
	:: else
	fi;
	mine = NONE;
	telling = false;
	confirmed = 0;
	at++;
	tries++;
	present();
	a[at].under = has;
	a[at].number = tries;
	a[at].position = got;
	a[at].id = shownId;
	a[at].credentials = shown;
	a[at].state = held
}

inline drain(c) {
	do
	:: len(c) > 0 -> c ? _, _, _
	:: else -> break
	od
}

inline adopt() {
	has = at;
	tries = 0;
	mine = at;
	adopted = at;
	confirmed = NONE   /* the first record is an ack, whatever it says */
}

inline clientTakes() {
	if
	:: down[mine] ? message(n, _) -> assert(n == got + 1); got = n
	:: down[mine] ? answer(n, _) ->
		telling = false;
		if
		:: n == 0 -> shown = 0   /* it tries again */
		:: else
		fi
	fi;
	n = 0
}

/* An attempt counts if it is later than all that have succeeded. */
#define counts(k) (next != NONE && a[k].under == next || a[k].under == cur && a[k].number > number)
#ifdef COUNTED_ON_ARRIVAL
#define counted(k) a[k].counted
#else
#define counted(k) counts(k)
#endif

inline takeHello(k) {
	a[k].state = asked;
#ifdef COUNTED_ON_ARRIVAL
	a[k].counted = counts(k);
#endif
	ask(a[k].verdict, a[k].id, a[k].credentials)
}

inline forget() {
	offer.is = false; offer.link = 0; offer.id = 0; offer.credentials = 0; offer.verdict = 0
}

inline commit(k) {
	assert(a[k].position >= acked && a[k].position <= highest);
	accept(a[k].id, a[k].credentials);
	cur = a[k].under;
	number = a[k].number;
	next = k;
	drain(up[its]);
	its = k;
	sent = a[k].position;
#ifndef STAYS_DOOMED
	doomed = false; doomedBy = 0;
#endif
#ifndef OLD_LINKS_DECIDE
	forget();
#endif
	a[k].committed = true
}

inline refuse(k) {
	if
	:: a[k].verdict == no -> finish(k)
	:: a[k].verdict == unsure
	:: a[k].verdict == expired ->
#ifdef CREDENTIALS_END
		assert(a[at].credentials <= stale);   /* the client has no better ones on their way */
		finish(k)
#else
		doomed = true;
		doomedBy = k
#endif
	fi
}

inline settle(k) {
	a[k].state = gone;
	if
#ifdef POSITION_FIRST
	:: a[k].position < acked -> finish(k)
#endif
#ifdef REFUSAL_FIRST
	:: !counted(k) && (a[k].verdict == no || a[k].verdict == expired) -> finish(k)
#endif
#ifdef ANY_REFUSAL_DOOMS
	:: !counted(k) && a[k].verdict == expired -> doomed = true; doomedBy = k
#endif
	:: !counted(k)
	:: counted(k) && a[k].verdict == yes -> commit(k)
	:: counted(k) && a[k].verdict != yes -> refuse(k)
	fi;
	a[k].verdict = 0; a[k].counted = false
}

inline takeUpdate() {
	up[its] ? update(n, c);
#ifndef ACCEPTED_IS_KNOWN
	known = n;
#endif
#ifdef TOLD_IS_PEER
	peer = n;
#endif
	offer.is = true; offer.link = its; offer.id = n; offer.credentials = c;
	ask(offer.verdict, n, c);
	n = 0; c = 0
}

inline decide() {
	if
	:: offer.verdict == yes -> accept(offer.id, offer.credentials)
#ifdef UNDECIDED_COUNTS
	:: offer.verdict == unsure -> peer = offer.id
#else
	:: offer.verdict == unsure
#endif
	:: offer.verdict == no || offer.verdict == expired -> finish(offer.link)
	fi;
	if
	:: offer.link == its && !over -> down[its] ! answer((offer.verdict == yes -> 1 : 0), 0)
	:: else
	fi;
	forget()
}

/* Each record of the client on the link confirms. */
inline confirm() {
	if
	:: next != NONE -> cur = next; next = NONE; number = 0
	:: else
	fi
}

inline serverTakes() {
	confirm();
	if
	:: up[its] ? ack(n, c) ->
		assert(n >= acked && n <= sent);
		assert(c == known);   /* what the client signs now can be checked */
		acked = n;
		n = 0; c = 0
	:: up[its] ? [update(_, _)] -> takeUpdate()
	fi
}

/* Whatever has happened: if the hop now lets one attempt through, and the application wants
   the client, all that was said and not received comes with it. */
inline undisturbed() {
	begin();
	a[at].verdict = yes;
	said[a[at].id] = true;
	assert(counted(at) || counts(at));
	commit(at);
	adopt();
	confirm();
	assert(has == cur && next == NONE && peer == id && entitled == fresh && sent == got && !over)
}

active proctype world() {
	byte n, c;
	do
	/* client */
	:: atomic { !over && at < K -> begin() }
	:: atomic { !over && mine == NONE && a[at].committed -> adopt() }
	:: atomic { !over && mine != NONE && nempty(down[mine]) -> clientTakes() }
	:: atomic { !over && mine != NONE && confirmed != got && nfull(up[mine]) -> confirmed = got; up[mine] ! ack(got, shownId) }
	:: atomic { !over && mine != NONE && !telling && (shownId != id || shown <= stale) && nfull(up[mine]) -> present(); telling = true; up[mine] ! update(shownId, shown) }
	:: atomic { !over && id < IDS-1 -> id++ }
	:: atomic { !over && fresh > stale && stale < ISSUES -> stale = fresh }

	/* server */
	:: atomic { !over && sent < M && nfull(down[its]) -> sent++; if :: sent > highest -> highest = sent :: else fi; down[its] ! message(sent, 0) }
	:: atomic { !over && nempty(up[its]) -> serverTakes() }
	:: atomic { !over && offer.is && nfull(down[its]) -> decide() }
	:: atomic { !over && a[1].state == held -> takeHello(1) }
	:: atomic { !over && a[2].state == held -> takeHello(2) }
	:: atomic { !over && a[1].state == asked -> settle(1) }
	:: atomic { !over && a[2].state == asked -> settle(2) }
#if K > 2
	:: atomic { !over && a[3].state == held -> takeHello(3) }
	:: atomic { !over && a[3].state == asked -> settle(3) }
#endif
	:: atomic { !over && doomed -> finish(doomedBy) }

	:: atomic { !over -> undisturbed(); break }
	:: atomic { over -> break }
	od
}

/* After every step the client's secret is one that the server takes, and the peer is one
   that was accepted. */
active proctype watcher() {
end:	atomic {
	if
	:: !(has == cur || next != NONE && has == next) -> assert(false)
	:: !welcome(peer) -> assert(welcome(peer))
	fi
	}
}
