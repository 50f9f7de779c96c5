"""What must be true: every message that a client published, in which transaction, and what became of both."""
import collections
import hashlib
import itertools
import threading
import time

FAULTS_SHOWN = 4                # of each kind


class Transaction:
    """begin, asked (to commit) and done are times of the model's clock; what lies apart on it was apart."""

    def __init__(self, number, client, begin, asynchronous):
        self.number, self.client, self.begin, self.asynchronous = number, client, begin, asynchronous
        self.asked = self.done = None
        self.asked_s = None
        self.in_ledger = False          # it wrote its number into the table "ledger": whether that is there decides
        self.status = "open"            # committed, aborted, doubt (asked for, not answered); in the end: unknown
        self.messages = []
        self.finished = []              # (topic, group, position, verb)
        self.positions = {}             # topic -> (first, last), as prism.last_position() told


class Message:
    __slots__ = ("uid", "topic", "topic_id", "key", "n", "size", "due", "transaction", "alive", "history")

    def __init__(self, uid, topic, key, n, size, due, transaction):
        self.uid, self.topic, self.key, self.n, self.size, self.due, self.transaction = uid, topic, key, n, size, due, transaction
        self.topic_id = None
        self.alive = True               # not rolled back with its savepoint
        self.history = []

    def payload(self):
        # not to be compressed
        filler = hashlib.shake_128(str(self.uid).encode()).hexdigest(self.size // 2 + 1)
        return f'{{"u": {self.uid}, "n": {self.n}, "f": "{filler}"}}'.encode()


class Seek:
    def __init__(self, topic, group, position, transaction):
        self.topic, self.group, self.position, self.transaction = topic, group, position, transaction


class Model:
    def __init__(self, seed):
        self.seed = seed
        self.begun_s = time.monotonic()
        self.clock_values = itertools.count(1)
        self.uids = itertools.count(1)
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.messages = {}
        self.transactions = []
        self.seeks = []
        self.log = collections.defaultdict(dict)        # topic id -> position -> uid
        self.there = set()                              # ids of the topics that are there in the end
        self.gaps = collections.defaultdict(list)       # topic id -> [(from, to)) that retention took before a reader came
        self.handed = collections.defaultdict(list)     # (topic, group) -> [(asked, got, {position: key})]
        self.crashes = []                               # times after which asynchronous commits may be gone
        self.faults = collections.defaultdict(list)
        self.counts = collections.Counter()

    def clock(self):
        return next(self.clock_values)

    def seconds(self):
        return time.monotonic() - self.begun_s

    def begin(self, client, asynchronous):
        transaction = Transaction(next(self.numbers), client, self.clock(), asynchronous)
        with self.lock:
            self.transactions.append(transaction)
        return transaction

    def message(self, transaction, topic, key, n, size, due=None):
        message = Message(next(self.uids), topic, key, n, size, due, transaction)
        transaction.messages.append(message)
        self.messages[message.uid] = message
        return message

    def note(self, uid, who, what):
        message = self.messages.get(uid)
        if message is not None:
            message.history.append((self.clock(), self.seconds(), who, what))

    def fault(self, kind, text, uid=None):
        with self.lock:
            self.faults[kind].append((self.seconds(), text, uid))

    def see(self, who, topic_id, position, uid):
        """A reader saw it: the same message at the same place, always, and nothing else."""
        known = self.log[topic_id].get(position)
        if known is None:
            self.log[topic_id][position] = uid
            self.note(uid, who, f"read at position {position} of topic {topic_id}")
        elif known != uid:
            self.fault("changed", f"{who}: position {position} of topic {topic_id} was message {known} and is {uid}", uid)

    def settle(self, ledger):
        """After the noise: what the ledger says of each transaction, and whether that is what its client was told."""
        for t in self.transactions:
            told = t.status
            if t.in_ledger:
                t.status = "committed" if t.number in ledger else "aborted"
                if told == "aborted" and t.status == "committed":
                    self.fault("ledger", f"transaction {t.number} of {t.client} committed, its client was told otherwise")
                if told == "committed" and t.status == "aborted" and not self.may_be_lost(t):
                    self.fault("ledger", f"transaction {t.number} of {t.client} is gone, its client was told that it committed")
            elif told == "open":
                t.status = "aborted"
            elif told == "doubt" or (told == "committed" and self.may_be_lost(t)):
                t.status = "unknown"

    def settle_unknown(self, logs):
        """No ledger: whether it committed, its first message says; that the others agree is looked at."""
        there = {row[1] for rows in logs.values() for row in rows}
        self.lost_in_crash = {t.number for t in self.transactions if t.status != "committed" and t.asked and self.may_be_lost(t)}
        for t in self.transactions:
            if t.status == "unknown" and any(m.uid in there for m in t.messages):
                t.status = "committed"

    def may_be_lost(self, transaction):
        return transaction.asynchronous and any(crash > transaction.asked for crash in self.crashes)

    def report(self, out):
        for kind, found in sorted((kind, found) for kind, found in self.faults.items() if found):
            out(f"# {kind}: {len(found)}")
            for seconds, text, uid in found[:FAULTS_SHOWN]:
                out(f"#   {seconds:7.3f} s  {text}")
                if uid is not None:
                    self.tell(uid, out)

    def tell(self, uid, out):
        message = self.messages.get(uid)
        if message is None:
            out(f"#       message {uid} was never published")
            return
        t = message.transaction
        out(f"#       message {uid}: topic {message.topic} ({message.topic_id}), key {message.key}, n {message.n}, due {message.due}, "
            f"{'' if message.alive else 'rolled back with its savepoint, '}one of {len(t.messages)} of transaction {t.number} of {t.client}: "
            f"{t.status}, times {t.begin} {t.asked} {t.done}, positions {t.positions}")
        for clock, seconds, who, what in message.history:
            out(f"#         {seconds:7.3f} s  {clock:8d}  {who}: {what}")
