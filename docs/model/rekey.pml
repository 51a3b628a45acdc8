/*
 * Rekey and resume together: which secrets the two ends hold to come back with.
 *
 *	client                          server
 *	  request        ->               takes R' beside R, stores, answers
 *	                 <-     answer
 *	  R' for R, stores, switch ->     from here on records confirm
 *	  record         ->               drops R
 *
 * and at any time the client may give its link up and come back by a resume, which is
 * a hello and an answer here: what is before them is in resume.pml. A link keeps its
 * records in order and can lose only its end; what is on it arrives at any time, also
 * when another link has taken its place. Hellos are held back as long as the hop likes.
 * Either end may lose its process at any moment; what is in its store stays.
 *
 * Secrets are numbered in the order in which they are made, 0 is the first. Each -D
 * named in README.md takes one rule away.
 */

#ifndef K
#define K    2   /* links after the first */
#endif
#define KEYS 1   /* rekeys on each, and one more that is undisturbed */
#define CRASHES 1
#define NONE 255

typedef Attempt {    /* number k would make link k */
	byte under;      /* the secret that it is made with */
	byte number;     /* among those with this secret */
	bool committed;
	byte makes       /* the secret that it makes */
}
Attempt a[K+2];
byte at;             /* the client's last one */

mtype = { request, record, switched };
chan up[K+2]   = [3] of { mtype };
chan down[K+2] = [1] of { byte };    /* an answer, with the secret that it makes */

/* Client. */
byte has, kept;                      /* its secret, and that in its store */
byte tries, keptTries;
byte mine = 0;                       /* its link, or NONE */
bool waits;                          /* for the answer to attempt at */
bool asked, adopted;                 /* on its link: a request was sent; its answer has come */
byte rekeys[K+2];

/* Server. */
byte cur, next = NONE, number;       /* R, R', and the highest attempt committed under R */
byte keptCur, keptNext = NONE, keptNumber;
byte its = 0;                        /* its link, or NONE */
bool unconfirmed;                    /* R' came with a rekey whose switch has not come */
bool answers;                        /* an answer is to be sent */
byte made, crashes;

inline saveClient() { kept = has; keptTries = tries }
inline saveServer() { keptCur = cur; keptNext = next; keptNumber = number }

inline learn(secret) {
	assert(secret > has);            /* never back to one from before */
	has = secret;
	tries = 0
}

/* Every frame of the client is written behind a save. */
inline send(m) {
#ifndef SWITCH_BEFORE_SAVE
	saveClient();
#endif
	up[mine]!m
}

inline begin() {
	mine = NONE;
	asked = false;
	adopted = false;
	at++;
	tries++;
	a[at].under = has;
	a[at].number = tries;
	waits = true;
	saveClient()
}

#ifdef NO_NUMBERS
#define newer(k) true
#else
#define newer(k) (a[k].number > number)
#endif
#define mayCommit(k) (!a[k].committed && (next != NONE && a[k].under == next || a[k].under == cur && newer(k)))

inline commit(k) {
	assert(a[k].under >= cur);
	cur = a[k].under;
	number = a[k].number;
	made++;
	next = made;
	a[k].makes = made;
	a[k].committed = true;
	its = k;
	unconfirmed = false;
	answers = false;
	saveServer()
}

inline adopt() {
	learn(a[at].makes);
	mine = at;
	waits = false
}

/* What each record says, whatever its type. */
inline confirm() {
	if
	:: next != NONE && !unconfirmed -> assert(next > cur); cur = next; next = NONE; number = 0
	:: else
	fi
}

inline takeRequest() {
	made++;
#ifdef SERVER_DROPS_EARLY
	cur = made; next = NONE; number = 0;
#else
	next = made;
#endif
#ifndef OLD_RECORDS_CONFIRM
	unconfirmed = true;
#endif
	answers = true
}

inline serverTakes(k) {
	up[k]?m;
#ifdef REQUEST_CONFIRMS_NOTHING
	if
	:: m != request -> confirm()
	:: else
	fi;
#else
	confirm();
#endif
	if
	:: m == request -> takeRequest()
	:: m == switched -> unconfirmed = false
	:: m == record
	fi;
	m = 0
}

inline serverAnswers() {
#ifndef ANSWER_BEFORE_SAVE
	saveServer();
#endif
	answers = false;
	down[its]!made
}

/* Whatever has happened: an attempt that the hop lets through succeeds, and so does a
   rekey behind it. */
inline undisturbed() {
	begin();
	assert(mayCommit(at));
	commit(at);
	adopt();
	send(record);
	up[its]?record;
	confirm();
	assert(has == cur && next == NONE);
	send(request);
	up[its]?request;
	takeRequest();
	serverAnswers();
	down[mine]?secret;
	learn(secret);
	send(switched);
	up[its]?switched;
	unconfirmed = false;
	send(record);
	up[its]?record;
	confirm();
	assert(has == cur && next == NONE && has == made)
}

active proctype world() {
	byte k, secret;
	mtype m;
	do
	/* client */
	:: atomic { at < K -> begin() }
	:: atomic { waits && a[at].committed -> adopt() }
	:: atomic { mine != NONE && nfull(up[mine]) -> send(record) }
	:: atomic { mine != NONE && !asked && rekeys[mine] < KEYS && nfull(up[mine]) -> rekeys[mine]++; asked = true; send(request) }
	:: atomic { mine != NONE && nempty(down[mine]) -> down[mine]?secret; learn(secret); adopted = true; secret = 0 }
	:: atomic { mine != NONE && adopted && nfull(up[mine]) -> asked = false; adopted = false; send(switched) }
#ifdef HEARS_OLD_LINKS
	:: atomic {
		select(k : 0 .. K);
		if
		:: k != mine && len(down[k]) > 0 ->
			down[k]?secret;
			if
			:: secret > has -> learn(secret)
			:: else
			fi
		:: else
		fi;
		k = 0; secret = 0
	   }
#endif

	/* server */
	:: atomic {
		select(k : 1 .. K);
		if
		:: k <= at && mayCommit(k) -> commit(k)
		:: else
		fi;
		k = 0
	   }
	:: atomic { its != NONE && nempty(up[its]) && !answers -> serverTakes(its) }
	:: atomic { its != NONE && answers -> serverAnswers() }
	:: atomic { saveServer() }
#ifdef TAKES_OLD_LINKS
	:: atomic {
		select(k : 0 .. K);
		if
		:: k != its && len(up[k]) > 0 && !answers -> serverTakes(k); answers = false
		:: else
		fi;
		k = 0
	   }
#endif

	/* Processes end and start again. */
	:: atomic { crashes < CRASHES -> crashes++; has = kept; tries = keptTries; mine = NONE; waits = false; asked = false; adopted = false }
	:: atomic { crashes < CRASHES -> crashes++; cur = keptCur; next = keptNext; number = keptNumber; its = NONE; unconfirmed = false; answers = false }

	:: atomic { undisturbed(); break }
	od
}

/* Both ends can name a secret that the other one takes, after every step. */
active proctype watcher() {
end:	atomic { !(has == cur || next != NONE && has == next) -> assert(false) }
}
