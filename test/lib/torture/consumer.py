"""Consumers: acknowledge, give up, reject, extend, roll back, let leases end, disappear. Readers. A seeker."""
import json
import time

from client import Client

CONSUME = ('SELECT "position", lease_id, attempt, key, convert_from(payload, \'UTF8\') '
           "FROM prism.consume($1, $2, $3::int, lease => $4::interval{})")
VERB = {"ack": "SELECT u.p, prism.ack($1, $2, ARRAY[u.p], ARRAY[u.l]) FROM unnest($3::bigint[], $4::bigint[]) u(p, l)",
        "reject": "SELECT u.p, prism.reject($1, $2, ARRAY[u.p], ARRAY[u.l], 'torture') FROM unnest($3::bigint[], $4::bigint[]) u(p, l)",
        "nack": "SELECT u.p, prism.nack($1, $2, ARRAY[u.p], ARRAY[u.l], '{} ms') FROM unnest($3::bigint[], $4::bigint[]) u(p, l)",
        "extend": "SELECT u.p, prism.extend($1, $2, ARRAY[u.p], ARRAY[u.l], '3 s') FROM unnest($3::bigint[], $4::bigint[]) u(p, l)"}


class Batch:
    def __init__(self, rows):
        self.rows = sorted((int(position), int(lease), int(attempt), key, json.loads(payload)["u"])
                           for position, lease, attempt, key, payload in rows)


class Consumer(Client):
    allowed = {"55000", "42704", "53400", "53000"}
    settings = "SET commit_fault.pause_us = 1000; SET commit_fault.error_percent = 3;"

    def __init__(self, world, topic, group, number, filter=None):
        super().__init__(world, f"consumer {group} {number}")
        self.topic, self.group, self.filter = topic, group, filter
        self.asynchronous = number == 2

    def turn(self, rng):
        if rng.random() < 0.2:
            self.connection.run(f"CALL prism.wait('{self.topic}', '{self.group}', '300 ms')")
        if rng.random() < 0.6:
            self.at_once(rng)
        else:
            self.leased(rng)

    def take(self, rng, lease):
        asked = self.model.clock()
        wait = ", wait => '100 ms'" if rng.random() < 0.2 else ""
        wait += f", filter => '{self.filter}'" if self.filter else ""
        batch = Batch(self.connection.run(CONSUME.format(wait), self.topic, self.group, rng.choice((1, 3, 20, 200)), lease))
        got = self.model.clock()
        if batch.rows:
            self.model.handed[self.topic, self.group].append((asked, got, {row[0]: row[3] for row in batch.rows}, self.name))
        for position, lease_id, attempt, key, uid in batch.rows:
            if self.topic in self.world.stable:
                self.model.see(self.name, self.world.stable[self.topic], position, uid)
            self.model.note(uid, self.name, f"handed out, position {position}, attempt {attempt}, lease {lease_id}")
        return batch

    def at_once(self, rng):
        self.begin()
        batch = self.take(rng, "5 s")
        self.finish(rng, batch)
        self.end(rng, batch)

    def leased(self, rng):
        """Commit between consuming and acknowledging."""
        self.begin()
        batch = self.take(rng, f"{rng.choice((300, 1500))} ms")
        self.commit(ledger=False)
        if not batch.rows:
            return
        time.sleep(rng.choice((0, 0, 0.02, 0.1, 0.5)))
        fate = rng.random()
        if fate < 0.1:
            self.disconnect()           # the lease ends by itself
            return
        if fate < 0.3:
            self.verb("extend", batch.rows)
        self.begin()
        self.finish(rng, batch)
        self.end(rng, batch)

    def finish(self, rng, batch):
        """Some of the first are done; what is given up takes those behind it along, as they were handed out as well."""
        cut = len(batch.rows) if rng.random() < 0.7 else rng.randrange(len(batch.rows) + 1)
        done, left = batch.rows[:cut], batch.rows[cut:]
        if done and rng.random() < 0.04:
            self.finished(self.verb("reject", done[-1:]), "reject")
            done = done[:-1]
        if done:
            self.finished(self.verb("ack", done), "ack")
        if left and rng.random() < 0.8:
            self.verb("nack", left, rng.choice((0, 0, 50, 400)))

    def verb(self, verb, rows, *details):
        positions, leases = ["{" + ",".join(str(row[i]) for row in rows) + "}" for i in (0, 1)]
        answer = self.connection.run(VERB[verb].format(*details), self.topic, self.group, positions, leases)
        for row in rows:
            self.model.note(row[4], self.name, verb)
        return [int(position) for position, count in answer if count == "1"]

    def finished(self, positions, verb):
        self.transaction.finished += [(self.topic, self.group, position, verb) for position in positions]

    def end(self, rng, batch):
        if rng.random() < 0.1:
            self.rollback()
        else:
            self.commit(ledger=True)
        for row in batch.rows:
            self.model.note(row[4], self.name, f"transaction {self.transaction.number} {self.transaction.status}")


class Reader(Client):
    """Reads on from where it was, in pages."""
    allowed = {"42704"}

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.topics = topics
        self.next = {}              # topic -> (topic id, next position)

    def turn(self, rng):
        for topic in self.topics:
            topic_id, start = self.next.get(topic, (None, None))
            level = rng.choice(("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")) if topic in self.world.stable else "READ COMMITTED"
            self.begin(f"BEGIN ISOLATION LEVEL {level}")
            try:
                rows = self.connection.run('SELECT "position", convert_from(payload, \'UTF8\') FROM prism.read($1, $2::bigint, $3::int)',
                                           topic, start, rng.choice((1, 7, 50, 300)))
            except Exception as error:
                if getattr(error, "state", "") != "55000":
                    raise
                self.connection.run("ROLLBACK")
                self.fell_behind(topic, topic_id, start)
                continue
            now = self.topic_id(topic)
            self.connection.run("COMMIT")
            if now != topic_id and start is not None:
                self.next.pop(topic)        # another topic: from its beginning
                continue
            self.take(topic, now, start, rows)
        time.sleep(0.01)

    def take(self, topic, topic_id, start, rows):
        for position, payload in rows:
            position, uid = int(position), json.loads(payload)["u"]
            if start is not None and position < start:
                self.model.fault("order", f"{self.name}: position {position} of {topic} after {start - 1}", uid)
            self.model.see(self.name, topic_id, position, uid)
            start = position + 1
        if start is not None:
            self.next[topic] = (topic_id, start)

    def fell_behind(self, topic, topic_id, start):
        """Retention was faster; it may only have taken what was old."""
        first = self.connection.value('SELECT min("position") FROM prism.read($1, NULL, 1)', topic)
        end = int(first) if first is not None else None
        self.model.gaps[topic_id].append((start, end))
        self.next.pop(topic)
        self.model.counts["readers that fell behind retention"] += 1
        now, kept_s = self.model.seconds(), self.world.retention_s[topic]
        for t in self.model.transactions[-3000:]:
            if topic in t.positions and end is not None and start <= t.positions[topic][0] < end and t.asked_s > now - kept_s:
                self.model.fault("dropped too early", f"{now - t.asked_s:.1f} s after its commit, retention is {kept_s} s",
                                 t.messages[0].uid)


class Seeker(Client):
    """Sends a group back and forth."""
    allowed = {"22023"}         # behind the end, as it was after a crash

    def __init__(self, world, topic, group):
        super().__init__(world, f"seeker {group}")
        self.topic, self.group = topic, group

    def turn(self, rng):
        from model import Seek
        t = self.begin()
        target = rng.choice(("earliest", "latest", None))
        if target is None:
            end = self.connection.value("SELECT next_position FROM prism.topics WHERE topic = $1", self.topic)
            target = rng.randrange(int(end) + 1)
        position = int(self.connection.value("SELECT prism.seek($1, $2, $3::text)", self.topic, self.group, target))
        with self.model.lock:
            self.model.seeks.append(Seek(self.topic, self.group, position, t))
        if rng.random() < 0.2:
            self.rollback()
        else:
            self.commit()
        self.world.stop.wait(rng.uniform(1, 6))
