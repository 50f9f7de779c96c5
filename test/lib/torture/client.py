"""A client: a session, turns until the noise ends, and what may go wrong in one."""
import random
import threading
import time

import pq

# What any statement may meet while processes are cancelled, ended and killed; 40002 is commit_fault's.
COMMON = {"57P01", "57P02", "57P03", "08006", "08003", "40001", "40P01", "40002", "55P03"}	# 55P03: a namespace is being changed for longer than five seconds
CANCELLED = "57014"


class Client(threading.Thread):
    settings = ""
    allowed = frozenset()

    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world, self.model = world, world.model
        self.connection = None
        self.transaction = None
        self.asynchronous = False
        self.idle = threading.Event()
        self.turns = 0

    # ---------- the loop ----------

    def run(self):
        try:
            while not self.world.stop.is_set():
                rng = random.Random(f"{self.world.seed}/{self.name}/{self.turns}")
                self.turns += 1
                if self.connection is None and not self.connect(rng):
                    time.sleep(0.05)
                    continue
                self.guarded(rng)
        except BaseException as problem:        # of ours: a thread must not die without a word
            import traceback
            self.model.fault("driver", f"{self.name}: {problem!r} {traceback.format_exc()}")
        self.idle.set()
        self.world.leave.wait()
        self.disconnect()

    def connect(self, rng):
        try:
            self.connection = self.world.server.connect(f"torture {self.name}")
            self.connection.run(f"SET commit_fault.seed = {rng.randrange(1 << 30)};" + self.settings)
            if self.asynchronous:
                self.connection.run("SET synchronous_commit = off")
            return True
        except pq.Error:
            self.disconnect()
            return False

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def guarded(self, rng):
        try:
            self.turn(rng)
        except pq.Error as error:
            self.judge(error)
            self.end_of_turn(error)
        self.transaction = None

    def judge(self, error):
        if error.state in COMMON or error.state in self.allowed or error.lost:
            self.model.counts[f"error {error.state}"] += 1
        elif error.state == CANCELLED and "user request" in error.message:
            self.model.counts["error 57014"] += 1
        else:
            self.model.fault("unexpected error", f"{self.name}: {error}  in: {error.statement[:300]}")

    def end_of_turn(self, error):
        t = self.transaction
        if t is not None and t.status == "open":
            t.status = "aborted"
        if t is not None and t.status == "doubt" and not error.lost:
            t.status = "aborted"
        if error.lost:
            self.disconnect()
            return
        try:
            self.connection.run("ROLLBACK")
        except pq.Error:
            self.disconnect()

    # ---------- what turns are made of ----------

    def begin(self, how="BEGIN"):
        self.transaction = self.model.begin(self.name, self.asynchronous)
        self.connection.run(how)
        return self.transaction

    def rollback(self):
        self.transaction.status = "aborted"
        self.connection.run("ROLLBACK")

    def commit(self, ledger=True):
        t = self.transaction
        if ledger:
            self.connection.run(f"INSERT INTO ledger VALUES ({t.number})")
            t.in_ledger = True
        t.asked, t.asked_s = self.model.clock(), self.model.seconds()
        t.status = "doubt"
        tag = self.connection.run("COMMIT")
        t.done = self.model.clock()
        t.status = "committed" if tag == "COMMIT" else "aborted"
        return t

    def topic_id(self, topic):
        """Which of the topics of that name this transaction uses: it holds the topic's lock."""
        number = self.connection.value("SELECT topic_id FROM prism.topic WHERE name = $1", topic)
        return int(number) if number is not None else None


def literal(values):
    """A bytea[] as text."""
    return "{" + ",".join('"\\\\x' + value.hex() + '"' for value in values) + "}"
