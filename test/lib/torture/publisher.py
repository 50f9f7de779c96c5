"""Publishers: single messages, batches, small ones that share a row, large ones, several topics, savepoints, delays."""
import json
import time

import pq
from client import Client, literal

PUBLISH = "SELECT prism.publish($1, $2::bytea, key => $3)"
DELAYED = "SELECT prism.publish($1, $2::bytea, key => $3, deliver_at => $4::timestamptz)"
SMALL = "SELECT prism.publish($1, p, key => $2) FROM unnest($3::bytea[]) WITH ORDINALITY AS u(p, i)"
BATCH = "SELECT prism.publish_batch($1, $3::bytea[], array_fill($2::text, ARRAY[array_length($3::bytea[], 1)]))"


class Publisher(Client):
    allowed = {"53000", "42704", "53400"}
    keys = 6
    patient = False             # now and then holds its transaction for longer than a retention lasts

    def __init__(self, world, name, topics, number, keyed=True):
        super().__init__(world, name)
        self.topics, self.keyed = topics, keyed
        self.asynchronous = number % 2 == 1
        self.settings = ("SET commit_fault.pause_us = 2000; SET commit_fault.error_percent = 3;"
                         "SET prism.publish_buffer = '64kB';")

    def turn(self, rng):
        stays = all(topic in self.world.stable for topic in self.topics)    # else an old snapshot shows a former topic
        t = self.begin("BEGIN ISOLATION LEVEL SERIALIZABLE" if stays and rng.random() < 0.05 else "BEGIN")
        places = {(rng.choice(self.topics), rng.randrange(self.keys)) for _ in range(rng.choice((1, 1, 1, 2, 3)))}
        for topic, key in sorted(places):
            if rng.random() < 0.15:
                self.in_savepoint(rng, t, topic, key)
            else:
                self.publish(rng, t, topic, key)
        for topic in {topic for topic, key in places}:
            topic_id = self.topic_id(topic) if topic not in self.world.stable else self.world.stable[topic]
            for message in t.messages:
                if message.topic == topic:
                    message.topic_id = topic_id
        if self.patient and rng.random() < 0.2:
            time.sleep(self.world.retention_s["r0"] + 1)
        if rng.random() < 0.12:
            self.rollback()
            return
        self.commit(ledger=rng.random() < 0.85)
        if rng.random() < 0.8:
            self.note_positions(t)

    def in_savepoint(self, rng, t, topic, key):
        before = len(t.messages)
        self.connection.run("SAVEPOINT s")
        try:
            self.publish(rng, t, topic, key)
            if rng.random() < 0.5:
                self.connection.run("RELEASE s")
                return
        except pq.Error as error:
            if error.lost:
                raise
            self.judge(error)
        self.connection.run("ROLLBACK TO s")
        for message in t.messages[before:]:
            message.alive = False

    def publish(self, rng, t, topic, key):
        kind = rng.choices(("single", "small", "batch", "large", "spill", "delayed"), (30, 40, 14, 6, 2, 10))[0]
        count = {"small": rng.randrange(2, 7), "batch": rng.randrange(20, 120), "spill": 150}.get(kind, 1)
        size = {"large": rng.randrange(3000, 30000), "spill": 1200}.get(kind, rng.randrange(10, 200))
        if kind == "delayed":
            self.publish_delayed(rng, t, topic, size)
            return
        # whoever publishes to a key waits for the one before
        name, last = f"k{key}", None
        if self.keyed:
            last = int(self.connection.value("UPDATE place SET n = n + $3::int WHERE topic = $1 AND key = $2 RETURNING n", topic, name, count))
        else:
            name = f"free{key}"
        made = [self.model.message(t, topic, name, last - count + 1 + i if last else 0, size) for i in range(count)]
        if count == 1:
            self.connection.run(PUBLISH, topic, "\\x" + made[0].payload().hex(), name)
        else:
            self.connection.run(SMALL if kind == "small" else BATCH, topic, name, literal([m.payload() for m in made]))

    def publish_delayed(self, rng, t, topic, size):
        late = rng.random() < 0.15      # a time that is past: at the commit, as without one
        due = self.connection.value(f"SELECT clock_timestamp() + interval '{-1 if late else rng.uniform(0.5, 3):.3f} s'")
        message = self.model.message(t, topic, "later", 0, size, None if late else due)
        self.connection.run(DELAYED, topic, "\\x" + message.payload().hex(), "later", due)

    def note_positions(self, t):
        """What the commit says of itself must be what readers find: looked at in the end."""
        for topic, first, last in self.connection.run("SELECT * FROM prism.last_position()"):
            t.positions[topic] = (int(first), int(last))


class Crowd(Client):
    """Many short transactions of a few small messages each, all sessions at the same time: they meet at segment ends."""
    allowed = {"53000", "53400"}
    period_s = 0.5
    sent = 0

    def __init__(self, world, number, topics):
        super().__init__(world, f"crowd {number}")
        self.topics, self.key = topics, f"crowd{number}"

    def turn(self, rng):
        statements, made = [], []
        for _ in range(6):
            t = self.model.begin(self.name, False)
            t.in_ledger, t.asked = True, t.begin        # one answer for all of them: the ledger tells them apart
            t.asked_s, t.status = self.model.seconds(), "doubt"
            made.append(t)
            published = [self.small(rng, t, topic) for topic in self.topics]
            statements.append(f"BEGIN; {''.join(published)} INSERT INTO ledger VALUES ({t.number}); COMMIT;")
        time.sleep(self.period_s - time.monotonic() % self.period_s)
        try:
            self.connection.run("".join(statements))
        finally:
            for t in made:
                t.done = self.model.clock()


    def small(self, rng, t, topic):
        payloads = []
        for _ in range(rng.randrange(2, 60)):
            self.sent += 1
            message = self.model.message(t, topic, self.key, self.sent, rng.randrange(5, 30))
            message.topic_id = self.world.stable[topic]
            payloads.append(message.payload())
        return f"SELECT prism.publish('{topic}', p, key => '{self.key}') FROM unnest('{literal(payloads)}'::bytea[]) p;"


class Spiller(Client):
    """Publishes more than its memory holds, and never commits: nothing stays, no file either."""
    settings = "SET prism.publish_buffer = '64kB';"

    def turn(self, rng):
        self.begin()
        if rng.random() < 0.5:
            self.connection.run("SAVEPOINT s")
        self.connection.run("SELECT prism.publish_batch('s1', array_agg(sha512(n::text::bytea) || sha512((-n)::text::bytea))) FROM generate_series(1, 2000) n")
        self.rollback()
        self.world.stop.wait(rng.uniform(0.1, 1))


class Later(Publisher):
    """Many messages for later at once: the scheduler has something to do."""

    def turn(self, rng):
        t = self.begin()
        topic = rng.choice(self.topics)
        for due in self.connection.run("SELECT clock_timestamp() + random() * interval '2 s' + interval '0.5 s' FROM generate_series(1, 100)"):
            message = self.model.message(t, topic, "later", 0, 20, due[0])
            message.topic_id = self.world.stable[topic]
        self.connection.run("SELECT prism.publish($1, p, key => 'later', deliver_at => d) FROM unnest($2::bytea[], $3::timestamptz[]) u(p, d)", topic,
                            literal([m.payload() for m in t.messages]), "{" + ",".join(f'"{m.due}"' for m in t.messages) + "}")
        self.commit()
        self.world.stop.wait(rng.uniform(0.05, 0.5))


class Newborn(Client):
    """Makes a topic and publishes to it for later in one transaction; the message must come, then the topic goes.
    An error that ends the turn leaves the topic there: those are looked at in the end, but the topics' places are few."""
    left_most = 4
    allowed = {"53400", "55000"}
    settings = "SET commit_fault.settled_ms = 150;"     # visible, but the others' caches are not yet told

    def __init__(self, world, name):
        super().__init__(world, name)
        self.left = []

    def turn(self, rng):
        while len(self.left) > self.left_most:
            if self.topic_id(self.left[0]) is not None:
                self.connection.run("SELECT prism.drop_namespace($1, true)", self.left[0])
            self.left.pop(0)
        name = f"n{self.turns}-{self.name.replace(' ', '-')}"
        self.left.append(name)
        t = self.begin()
        self.connection.run("SELECT prism.apply($1)", f"{{name: {name}, client_api: queue}}")
        soon = rng.random() < 0.8
        due = self.connection.value(f"SELECT clock_timestamp() + interval '{0.02 if soon else rng.uniform(0.1, 1):.3f} s'")
        message = self.model.message(t, name, "later", 0, 20, due)
        self.connection.run(DELAYED, name, "\\x" + message.payload().hex(), "later", due)
        message.topic_id = self.topic_id(name)
        time.sleep(rng.choice((0, 0, 0.02, 0.1)))
        self.commit()
        self.await_message(name, message)
        self.connection.run("SELECT prism.drop_namespace($1, true)", name)
        self.left.remove(name)

    def await_message(self, name, message):
        end = time.monotonic() + 30
        while True:
            rows = self.connection.run('SELECT "position", convert_from(payload, \'UTF8\') FROM prism.read($1)', name)
            for position, payload in rows:
                self.model.see(self.name, message.topic_id, int(position), json.loads(payload)["u"])
            if rows or self.world.stop.is_set():
                return
            if time.monotonic() > end:
                self.model.fault("delayed message lost", f"{self.name}: not within 30 s of its commit", message.uid)
                return
            time.sleep(0.05)
