"""Administrators: make and drop topics under the feet of everybody, groups, sinks, changed configurations."""
from client import Client


class Dropper(Client):
    """Drops topics and makes them again, whoever is using them."""
    allowed = {"42704", "55000", "53400"}

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.topics = topics

    def turn(self, rng):
        topic = rng.choice(self.topics)
        if rng.random() < 0.5:
            with_group = f", consumers: [{{group: g-{topic}, max_attempts: 0}}]" if rng.random() < 0.5 else ""
            self.connection.run("SELECT prism.apply($1)", f"{{name: {topic}, client_api: queue, backend: {rng.choice(('memory', 'postgres'))}{with_group}}}")
        else:
            self.begin()
            self.connection.run("SELECT prism.drop_namespace($1, $2)", topic, rng.random() < 0.7)
            again = rng.random() < 0.3
            if again:
                self.connection.run("SELECT prism.apply($1)", f"{{name: {topic}, client_api: queue}}")
            if rng.random() < 0.2:
                self.rollback()
            else:
                self.commit(ledger=False)
        self.world.stop.wait(rng.uniform(0, 0.1))


class Regrouper(Client):
    """Groups that come and go, on topics that stay and on those that do not."""
    allowed = {"42704", "42710", "55000", "53400"}

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.topics = topics

    def turn(self, rng):
        topic, group = rng.choice(self.topics), f"come{rng.randrange(3)}"
        act = rng.choice(("create", "consume", "consume", "drop"))
        if act == "create":
            self.connection.run("SELECT prism.create_group($1, $2, $3)", topic, group, rng.choice(("earliest", "latest")))
        elif act == "drop":
            self.connection.run("SELECT prism.drop_group($1, $2)", topic, group)
        else:
            self.begin()
            self.connection.run("SELECT prism.ack(m) FROM prism.consume($1, $2, 10, lease => '200 ms') m", topic, group)
            if rng.random() < 0.5:
                self.connection.run("SELECT count(*) FROM prism.groups")
            self.commit(ledger=False)
        self.world.stop.wait(rng.uniform(0, 0.1))


class Operator(Client):
    """What an operator does to topics that stay; looks at all views."""
    allowed = {"42704", "55000", "53000"}

    def turn(self, rng):
        act = rng.choice(("pause", "resume", "resume", "apply", "look", "grow"))
        sink = rng.choice(self.world.sinks)
        if act in ("pause", "resume"):
            self.connection.run(f"SELECT prism.{act}($1)", sink)
        elif act == "apply":
            self.connection.run("SELECT prism.apply($1)", rng.choice(self.world.configurations))
        elif act == "grow":
            topic = rng.choice(sorted(self.world.grown))
            self.connection.run("SELECT prism.apply($1)", self.world.grown[topic].format(rng.choice(("1MB", "2MB"))))
        else:
            for view in ("topics", "groups", "sinks", "status", "metrics", "workers", "outbox", "doctor()"):
                self.connection.run(f"SELECT count(*) FROM prism.{view}")
        self.world.stop.wait(rng.uniform(0.05, 0.5))


class Locker(Client):
    """Locks the last segment of a topic for a moment, as VACUUM FULL does: who publishes there waits before he takes offsets."""
    allowed = {"42P01"}         # retention was faster

    def __init__(self, world, name, topic):
        super().__init__(world, name)
        self.topic = topic

    def turn(self, rng):
        number = self.connection.value("SELECT next_position / segment_messages FROM prism.topics s JOIN prism.topic t ON t.name = s.topic WHERE t.name = $1", self.topic)
        self.begin()
        self.connection.run(f"LOCK TABLE prism_log.topic_{self.world.stable[self.topic]}_{number} IN ACCESS EXCLUSIVE MODE")
        self.world.stop.wait(rng.uniform(0, 0.06))
        self.rollback()
        self.world.stop.wait(rng.uniform(0, 0.15))
