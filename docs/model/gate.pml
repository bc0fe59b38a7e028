/* The gate of the replicas, as docs/replicas.md tells it; tests/model_checking has spin search all of it.
 *
 * A key store, the database that says how it stands, one replica with all its threads, and `others`: whatever
 * any number of other replicas may do. Replicas are alike, so what holds for the one holds for each.
 *
 * The inlines under "The steps" are the protocol; functions of hsmstore/service bear the same names. Between
 * any two statements anything else may happen, for as long as it likes: a thread that is late, a process that
 * is stopped and goes on, a slow network are all the same thing here, a step that is not taken yet. In the
 * same way a notification is the option of looking before the next renewal; when it is late or lost, that
 * option is not taken.
 *
 * What is promised:
 *   - a draw that began after somebody saw DISCONNECTED gives no byte;
 *   - no byte that the HSM drew while the store was not connected is given, whenever the draw began;
 *   - DISCONNECTING ends, as long as one replica lives and the database comes back.
 *
 * Time goes in ticks of the database's clock, and is at its worst: a lease is counted from one instant by
 * both sides, by a replica whose clock loses DRIFT of it (`deadline`), and by the database, which allows
 * MARGIN for that (`lease`). A replica whose clock gains finds itself lapsed sooner: it may at any time.
 *
 * CRASHES and OUTAGES are for the claim that DISCONNECTING ends; FIRST_PROMISE_ONLY leaves the second out. Each
 * other name that can be defined takes one rule away. The search must then find what the rule is for.
 *
 * Where there are crashes nobody draws: a crash ends the drawer, so what is given was given before it, and the
 * search without crashes goes through that. Others, too, see of a crash only what stays in the database.
 */
#ifndef L
#define L 2                     /* ticks of a lease */
#endif
#define DRIFT 1
#ifdef NO_MARGIN
#define MARGIN 0
#else
#define MARGIN 1
#endif

mtype:store = { DISCONNECTED, CONNECTING, CONNECTED, DISCONNECTING };
mtype:claim = { NOBODY, REPLICA, OTHER };
mtype:term = { NONE, PRESENT, SHUT, PAST };

/* --- The database: what is committed outlives its restarts ---------------------------------------------- */

mtype:store state = CONNECTED;
mtype:claim claimant = NOBODY;  /* who completes the connect */
bool row;                       /* the replica's row: while it is there nobody has judged the lease lapsed */
byte lease;                     /* ticks until somebody may */
bool renewing;                  /* a renewal is written, not committed, and holds the row's lock */
bool held;                      /* the replica may have a live connection */
bool up = true;
#ifdef OUTAGES
byte outages = OUTAGES;         /* how often it may go away; without this, for ever */
#endif

/* --- The replica: what ends with its process ------------------------------------------------------------ */

bool alive = true;
bool leased = true;             /* it may open its gate under the lease that it has: not as it ends */
bool turn;                      /* some thread has the turn of the store: opens its gate, or shuts it */
bool gate;                      /* a live connection stands in the gate */
byte deadline;                  /* ticks until the lease ends */
byte asked;                     /* what the renewal under way will make of that */
mtype:term hold_term = NONE;    /* the lease under which the gate is being opened: the present one, or a past */

/* The draw under way. */
mtype:term conn_term = NONE;    /* the lease of its connection; SHUT: closed since it was found */
bool drawing;                   /* C_GenerateRandom has the module's lock */
bool late;                      /* it must give no byte */

/* --- Those who look on ---------------------------------------------------------------------------------- */

bool seen;                      /* somebody has seen DISCONNECTED, and the store was not CONNECTED since */

/* --- What the steps are made of ------------------------------------------------------------------------- */

#ifdef FIRST_PROMISE_ONLY
#define drawn_late false
#else
#define drawn_late (state == DISCONNECTED || state == CONNECTING)
#endif

inline shut() { gate = false; if :: conn_term == PRESENT -> conn_term = SHUT :: else fi }

inline shut_for_good() {        /* a thread that is late opens nothing any more */
    atomic {
#ifndef SHUT_FOR_A_MOMENT
        leased = false;
#endif
        shut();
        if :: hold_term != NONE -> hold_term = PAST :: else fi }
}

inline forget_the_lease() {     /* with all that was opened under it */
    shut();
    deadline = 0;
    if :: conn_term != NONE -> conn_term = PAST :: else fi;
    if :: hold_term != NONE -> hold_term = PAST :: else fi
}

inline read_the_clock() { asked = L + DRIFT }

#define GRANTED (asked + MARGIN > DRIFT -> asked + MARGIN - DRIFT : 0)

inline learn() {                /* that the database has granted the lease; or the answer is lost */
#ifdef DEADLINE_AFTER
    read_the_clock();
#endif
    atomic { if :: deadline = asked :: skip fi; asked = 0 }
}

inline end_the_lease() {        /* for the others: row, hold and claim go, in one transaction */
    row = false; held = false;
    if :: claimant == REPLICA -> claimant = NOBODY :: else fi
}

#ifdef TAKE_OVER_OF_THE_LIVING  /* and not only of who was killed */
#define may_be_taken_over (up && row && !renewing)
#else
#define may_be_taken_over (up && row && !renewing && !alive)
#endif

#ifdef JUDGED_BY_THE_CLOCK      /* and not by taking the row away */
#define has_lease (row && lease > 0)
#define may_be_judged false
#define lets_go (!held || lease == 0)
#else
#define has_lease row
#define may_be_judged (up && row && lease == 0 && !renewing)
#ifdef HOLDS_IGNORED
#define lets_go true
#else
#define lets_go (!held)
#endif
#endif

#ifdef ANY_LEASE_WILL_DO        /* and not only the connection's own */
#define in_time (deadline > 0)
#else
#define in_time (deadline > 0 && conn_term != PAST)
#endif

/* --- The steps ------------------------------------------------------------------------------------------ */

/* Ask for more of the lease. Where its row is gone the lease has lapsed: forget it, take a new one. */
inline renew() {
    read_the_clock();                                               /* before the database is asked */
    if
    :: atomic { up && has_lease -> renewing = true };                                           /* UPDATE */
        if
        :: atomic { up && renewing -> renewing = false; lease = GRANTED };                      /* COMMIT */
            learn()
        :: atomic { !renewing -> asked = 0 }                        /* the database has undone it */
        fi
    :: atomic { up && !has_lease -> asked = 0 };
        atomic {
#ifndef GATE_LEFT_OPEN
            forget_the_lease();
#endif
            read_the_clock() };
        if
        :: atomic { up -> row = true; held = false; lease = GRANTED };                  /* INSERT, COMMIT */
            learn()
        :: atomic { !up -> asked = 0 }
        fi
    :: atomic { !up -> asked = 0 }
    fi
}

/* Before the gate opens: say so in the registry, if the store is CONNECTED there. */
inline hold() {
    atomic { leased && !turn -> turn = true; hold_term = PRESENT };
    if
#ifdef HOLD_IN_TWO_STEPS
    :: atomic { up && row && state == CONNECTED -> skip };
        if :: atomic { up && row -> held = true } :: !up || !row -> goto unheld fi;
#else
    :: atomic { up && row && state == CONNECTED -> held = true };
#endif
        atomic { if :: hold_term == PRESENT -> gate = true :: else fi; goto unheld }
    :: atomic { !up || !row || state != CONNECTED -> goto unheld }
    fi;
unheld:
    atomic { turn = false; hold_term = NONE }
}

/* GenerateRandom: the lease is looked at after the bytes are drawn, before they are given. */
inline draw() {
    atomic { gate -> conn_term = PRESENT; late = seen };
#ifdef CHECK_BEFORE_DRAW
    if :: in_time :: goto lapsed fi;
#endif
    atomic { if :: conn_term == PRESENT -> drawing = true :: conn_term != PRESENT -> goto refused fi };
    atomic { late = late || drawn_late; drawing = false };          /* C_GenerateRandom */
#ifndef CHECK_BEFORE_DRAW
    if :: in_time :: goto lapsed fi;
#endif
given:
    atomic { assert(!late); goto refused };
lapsed:
    atomic { shut(); goto refused };
refused:
    atomic { conn_term = NONE; late = false }
}

/* DisconnectCustomKeyStore: shut the own gate, then say DISCONNECTING. */
inline begin_disconnect() {
    atomic { !turn -> turn = true; shut() };
    atomic { !drawing ->                                            /* it waits for the draw under way */
        if
        :: up && (state == CONNECTED || state == CONNECTING) -> say_disconnecting(); held = false
        :: else
        fi;
        turn = false }
}

inline say_disconnecting() {
    state = DISCONNECTING; claimant = NOBODY;
#ifdef TOLD_ONCE
    news = true
#endif
}

/* The store is no longer CONNECTED: shut the gate, then delete the hold. */
inline let_go() {
#ifdef LET_GO_BEFORE_SHUT
    atomic { !turn -> turn = true };
    if :: atomic { up -> held = false } :: !up fi;
    atomic { shut() };
    atomic { !drawing -> turn = false }
#else
    atomic { !turn -> turn = true; shut() };
    atomic { !drawing -> if :: up -> held = false :: !up fi; turn = false }
#endif
}

/* The lease has ended by the database's clock, MARGIN ago. */
inline lapse() { may_be_judged -> end_the_lease() }

/* The process ends: shut the gate for good, then end the lease, so that nobody waits for it. */
inline give_back() {
#ifdef GIVE_BACK_BEFORE_SHUT
    if :: atomic { up -> end_the_lease() } :: !up fi;
    shut_for_good()
#else
    shut_for_good();
    if :: atomic { up && !drawing -> end_the_lease() } :: !up fi
#endif
}

/* The process was killed: who starts in its place ends its lease at once. */
inline take_over() { may_be_taken_over -> end_the_lease() }

/* Once nobody holds the store, it is DISCONNECTED. */
inline settle_disconnected() {
    if :: lapse() :: else fi;
    if :: lets_go -> state = DISCONNECTED :: else fi
}

/* Complete a connect: one replica does it. Another takes over when that one's lease lapses. */
inline claim() {
    atomic { !turn -> turn = true };
    if
    :: atomic { up && row && state == CONNECTING && claimant != OTHER -> claimant = REPLICA };
        skip;                                                       /* log in, rotate the password */
        atomic {
            if
            :: up && state == CONNECTING && claimant == REPLICA -> say_connected()
            :: else
            fi;
            turn = false }
    :: atomic { !up || !row || state != CONNECTING || claimant == OTHER -> turn = false }
    fi
}

inline say_connected() { state = CONNECTED; claimant = NOBODY; seen = false }

/* --- Who takes them ------------------------------------------------------------------------------------- */

#ifdef TOLD_ONCE                /* and not asked for all that it holds, at each renewal */
bool news;
#define must_let_go (up && news)
#define LET_GO news = false; let_go()
#else
#define must_let_go (up && held && state != CONNECTED)
#define LET_GO let_go()
#endif

proctype keeper() {                                                 /* the thread that renews and listens */
    {
end:    do
        :: renew();
#ifndef NOTIFIED_OR_NEVER
            if :: must_let_go -> missed: LET_GO :: else fi
#else
            missed: skip
#endif
        :: must_let_go -> LET_GO                                    /* notified */
        :: break
        od;
        give_back()                                                 /* the other threads may be late, and go on */
    } unless { !alive }
}

proctype worker() {                                                 /* a thread that serves requests */
    {
end:    do
        :: !gate && state == CONNECTED -> hold()
        :: state == CONNECTED || state == CONNECTING -> begin_disconnect()
        :: state == CONNECTING -> claim()
        od
    } unless { !alive }
}

proctype drawer() {                                                 /* a thread that serves GenerateRandom */
    {
end:    do :: draw() od
    } unless { !alive }
}

proctype ticker() {                                                 /* of any replica that lives */
end:
    do :: atomic { up && state == DISCONNECTING -> settle_disconnected() } od
}

/* --- What happens to them ------------------------------------------------------------------------------- */

proctype others() {
end:
    do
    :: atomic { up && (state == CONNECTED || state == CONNECTING) -> say_disconnecting() }
    :: atomic { up && state == DISCONNECTED -> state = CONNECTING }
    :: atomic { up && state == CONNECTING && claimant == NOBODY -> claimant = OTHER }
    :: atomic { up && claimant == OTHER -> claimant = NOBODY }      /* lapsed */
    :: atomic { up && claimant == OTHER -> say_connected() }
    :: atomic { lapse() }                                           /* in passing, or swept away long after */
    :: atomic { take_over() }
#ifndef CRASHES                 /* nobody need look when what counts is that things end */
    :: atomic { up && state == DISCONNECTED && !seen -> seen = true }
#endif
    od
}

proctype time() {
end:
    do
    :: d_step {
            if :: deadline > 0 -> deadline-- :: else fi;
            if :: asked > 0 -> asked-- :: else fi;
            if :: lease > 0 -> lease-- :: else fi }
    od
}

proctype database() {
end:
    do
#ifdef OUTAGES
    :: atomic { up && outages > 0 -> outages--; up = false; renewing = false }
    :: up && outages > 0 -> outages = 0
#else
    :: atomic { up -> up = false; renewing = false }
#endif
    :: !up -> up = true
#ifndef LOCKS_OF_THE_DEAD
    :: renewing -> renewing = false                                 /* idle_in_transaction_session_timeout */
#endif
    od
}

#ifdef CRASHES                  /* a thread that takes no more steps is no news; what ends is its turn, its gate */
proctype crash() {                                                  /* its locks stay in the database */
end:
    if
    :: atomic { alive = false; turn = false; gate = false; drawing = false; deadline = 0; asked = 0;
            hold_term = NONE; conn_term = NONE; late = false }
    :: skip                                                         /* or it lives for ever */
    fi
}
#endif

init {
    atomic {
        run keeper(); run worker(); run ticker();
#ifdef CRASHES
        run crash();
#else
        run drawer();
#endif
        run others(); run time(); run database()
    }
}

/* --- Claims --------------------------------------------------------------------------------------------- */

/* This holds, where threads are fair and the database's outages come to an end. */
ltl disconnecting_ends { [] (state == DISCONNECTING -> <> (state != DISCONNECTING)) }

/* These do not: what they deny happens in the model, so that the rest says something. */
ltl never_a_byte { [] !drawer@given }
ltl never_thrown_away { [] !drawer@lapsed }
ltl never_judged_with_an_open_gate { [] !(alive && gate && !row) }
ltl never_found_by_a_renewal_alone { [] !keeper@missed }
