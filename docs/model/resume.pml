/*
 * Resume: a session that both ends hold a secret for, R at first, comes up again
 * on a new link, and R gives way to a fresh secret R'.
 *
 *	client                                    server
 *	  m1, under R            ->
 *	                         <-     m2
 *	  client hello           ->               commits: keeps R and R'
 *	                         <-     server hello
 *	  keeps R' only, done    ->               keeps R' only
 *
 * The hop has every frame that was ever sent, and delivers any of them at any
 * time, any number of times, or never. It cannot make one: hellos and done are
 * sealed under keys of one attempt and one exchange. Either end may lose its
 * process at any moment; what is in its store stays. The server may be many nodes
 * that share a store, so nothing that one exchange does is noticed by another but
 * through the store.
 *
 * Secrets are numbers: 0 is the first one, and attempt k makes secret k. Each -D
 * named in README.md takes one rule away.
 */

#define K    4   /* attempts, of which the last is undisturbed */
#define J    6   /* exchanges: m1s that the server answers, repeated ones included */
#define NONE 255

typedef Attempt {   /* the client's end of attempt k, and what of it the hop has */
	byte under;     /* the secret that m1 is made with */
	byte with;      /* the exchange whose m2 it took */
	bool m1, hello, done;
	bool taken      /* m1 has been delivered before */
}
Attempt a[K+1];

mtype = { open, committing, committed, confirmed, dead };
typedef Exchange {  /* the server's end of one m1 */
	byte attempt;
	byte fence;     /* the version of the store that it has seen */
	mtype state;
	bool answered   /* the hop has its server hello */
}
Exchange x[J];
byte exchanges;

/* What is stored. */
byte has;                             /* client */
byte cur, next = NONE, version;       /* server: R, R' and a number that every write raises */

/* What the client has in memory: the one attempt that it listens to. */
mtype = { down, waitM2, waitHello, opened, up };
mtype step = down;
byte at;

/* Both ends can name a secret that the other one takes: nobody is stranded. */
inline common() { assert(has == cur || next != NONE && has == next) }

inline write(newCur, newNext) {
	assert(newCur >= cur);   /* R never moves back */
	cur = newCur;
	next = newNext;
	version++
}

/* A new attempt ends the one before it: the client no longer listens to that. */
inline start() {
	at++;
	a[at].under = has;
	a[at].m1 = true;
	step = waitM2
}

/* m1 changes nothing, but for one thing: it proves that the client has R'. */
inline serverTakesM1(k) {
	oldCur = cur; oldVersion = version;
	known = a[k].under == cur;
	if
#ifndef NO_USE_CONFIRMS
	:: next != NONE && a[k].under == next -> write(next, NONE); known = true
#else
	:: next != NONE && a[k].under == next -> known = true
#endif
	:: else
	fi;
#ifdef M1_COMMITS
	if
	:: known -> write(k, NONE)
	:: else
	fi;
#endif
#ifdef M1_ENDS_LINKS
	if
	:: known -> version++
	:: else
	fi;
#endif
	if
	:: known ->
		x[exchanges].attempt = k;
		x[exchanges].state = open;
		x[exchanges].fence = version;
		exchanges++
	:: else   /* the one constant refusal */
	fi;
	assert(!a[k].taken || oldCur == cur && oldVersion == version);   /* a replay changes nothing */
	a[k].taken = true
}

inline clientTakesM2(j) {
	a[at].with = j;
	a[at].hello = true;
	step = waitHello;
#ifdef CLIENT_DROPS_EARLY
	has = at
#endif
}

#ifdef NO_FENCE
#define unfenced(j) true
#else
#define unfenced(j) (x[j].fence == version)
#endif

/* The commit: in the store before a word of it is sent, and only if the store is
   as this exchange found it. */
#define mayCommit(j) (x[j].state == open && unfenced(j))
inline commit(j) {
	assert(x[j].attempt > cur);
#ifdef SERVER_DROPS_EARLY
	write(x[j].attempt, NONE);
#else
	write(cur, x[j].attempt);
#endif
	x[j].fence = version;
	x[j].state = committed
}

inline serverTakesHello(j) {
#ifdef HELLO_BEFORE_SAVE
	x[j].answered = true;
	x[j].state = committing
#else
	commit(j)
#endif
}

inline clientTakesHello() {
#ifdef DONE_BEFORE_SAVE
	a[at].done = true;
#else
	assert(at >= has);   /* R never moves back */
	has = at;
#endif
	step = opened
}

inline clientSendsDone() {
	has = at;
	a[at].done = true;
	step = up
}

#ifdef DONE_OF_ANY
#define confirms(j) (next != NONE)
#else
#define confirms(j) (x[j].state == committed && x[j].fence == version)
#endif

inline serverTakesDone(j) {
	if
	:: next != NONE -> write(next, NONE)
	:: else
	fi;
	x[j].fence = version;
	x[j].state = confirmed
}

/* A process that is done with the session deletes what is stored of it. */
inline delete() { cur = NONE; next = NONE; version++ }

/* The credentials in a hello that was held back have expired: the client has made another
   attempt since, and shows others with it. Nothing follows. */
inline refuse(j) {
#ifdef REFUSAL_DELETES
	delete();
#endif
	x[j].state = dead
}

/* Whatever has happened: if the hop now lets one attempt through, it succeeds. */
inline undisturbed() {
	start();
	serverTakesM1(at);
	assert(known);
	j = exchanges - 1;
	clientTakesM2(j);
	assert(mayCommit(j));
	serverTakesHello(j);
#ifdef HELLO_BEFORE_SAVE
	commit(j);
#endif
	clientTakesHello();
	clientSendsDone();
	assert(confirms(j));
	serverTakesDone(j);
	assert(has == cur && next == NONE)
}

active proctype world() {
	byte j, k, oldCur, oldVersion;
	bool known;
	do
	:: atomic { at < K-1 -> start() }

	:: atomic {
		exchanges < J-1 -> select(k : 1 .. K-1);
		if
		:: a[k].m1 -> serverTakesM1(k)
		:: else
		fi;
		k = 0; oldCur = 0; oldVersion = 0; known = false
	   }

	:: atomic {
		step == waitM2 -> select(j : 0 .. J-2);
		if
		:: j < exchanges && x[j].attempt == at -> clientTakesM2(j)
		:: else
		fi;
		j = 0
	   }

	:: atomic {
		select(j : 0 .. J-2);
		if
		:: mayCommit(j) && a[x[j].attempt].hello && a[x[j].attempt].with == j -> serverTakesHello(j)
#ifdef HELLO_BEFORE_SAVE
		:: x[j].state == committing && unfenced(j) -> commit(j)
#endif
		:: x[j].state == committed && !x[j].answered -> x[j].answered = true
		:: mayCommit(j) && a[x[j].attempt].hello && a[x[j].attempt].with == j && x[j].attempt < at -> refuse(j)
#ifdef OVERTAKEN_DELETES
		:: x[j].state == confirmed && x[j].fence != version -> delete()
#endif
		:: confirms(j) && j < exchanges && a[x[j].attempt].done && a[x[j].attempt].with == j -> serverTakesDone(j)
		:: else
		fi;
		j = 0
	   }

	:: atomic { step == waitHello && x[a[at].with].answered -> clientTakesHello() }
	:: atomic { step == opened -> clientSendsDone() }

#ifdef HEARS_OLD_ATTEMPTS
	:: atomic {
		select(k : 1 .. K-1);
		if
		:: k < at && k > has && a[k].hello && x[a[k].with].answered -> has = k; a[k].done = true
		:: else
		fi;
		k = 0
	   }
#endif

	/* Processes end and start again. */
	:: atomic { step != down -> step = down }
	:: atomic {
		exchanges > 0 ->
		for (j : 0 .. J-1) {
			if
			:: j < exchanges -> x[j].state = dead
			:: else
			fi
		};
		j = 0
	   }

	:: atomic { common(); undisturbed(); break }
	od
}

/* common() holds after every step, not only where an attempt begins. */
active proctype watcher() {
end:	atomic { !(has == cur || next != NONE && has == next) -> assert(false) }
}
