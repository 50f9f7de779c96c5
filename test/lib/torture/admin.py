"""Administrators: make and drop topics under the feet of everybody, groups, sinks, changed configurations."""
from client import Client


class Dropper(Client):
    """Drops topics and makes them again, whoever is using them."""
    allowed = {"42704", "55000", "53400"}

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.topics = topics

    def turn(self, rng):
        # one of them is fought over
        topic = rng.choices(self.topics, (4, 1, 1))[0]
        act = rng.choice(("apply", "apply", "drop", "grant", "revoke"))
        if act in ("grant", "revoke"):
            self.connection.run(f"SELECT prism.{act}($1, $2, 'torture_handler')", topic, rng.choice(("publish", "read")))
        elif act == "apply":
            self.connection.run("SELECT prism.apply($1)", self.configuration(rng, topic))
        else:
            self.begin()
            self.connection.run("SELECT prism.drop_namespace($1, $2)", topic, rng.random() < 0.7)
            if rng.random() < 0.3:
                self.connection.run("SELECT prism.apply($1)", self.configuration(rng, topic))
            if rng.random() < 0.2:
                self.rollback()
            else:
                self.commit(ledger=False)
        self.world.stop.wait(rng.choice((0, 0, 0.02, 0.1)))

    def configuration(self, rng, topic):
        groups = [f"{{group: g-{topic}, max_attempts: {rng.randrange(3)}}}", f"{{group: other, lease: {rng.randrange(1, 4)}s}}"]
        return (f"{{name: {topic}, client_api: queue, backend: {rng.choice(('memory', 'postgres'))}, "
                f"needs: {{max_message_size: {rng.choice(('1MB', '2MB'))}}}, consumers: [{', '.join(groups[:rng.randrange(3)])}]}}")


class Regrouper(Client):
    """Groups that come and go, on topics that stay and on those that do not."""
    allowed = {"42704", "42710", "55000", "53400"}

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.topics = topics

    def turn(self, rng):
        # the one that is fought over stands in configurations too
        topic, group = rng.choice(self.topics), rng.choice(("come0", "come1", "other", "other"))
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
    """Locks a table for a moment, as VACUUM FULL does: the last segment of a topic, so that who publishes there waits before
    he takes offsets, or one with messages for later, so that the scheduler waits in the middle of its turn; now and then a new one."""
    allowed = {"42P01"}         # it was dropped meanwhile

    def __init__(self, world, name, topic):
        super().__init__(world, name)
        self.topic = topic

    def turn(self, rng):
        fate = rng.random()
        if fate < 0.5:
            table = self.connection.value("SELECT 'topic_' || t.topic_id || '_' || next_position / segment_messages FROM prism.topics s "
                                          "JOIN prism.topic t ON t.name = s.topic WHERE t.name = $1", self.topic)
        else:
            table = self.connection.value("SELECT 'delayed_' || bucket_id FROM prism.delay_bucket WHERE NOT retired ORDER BY random() LIMIT 1")
        if table is not None:
            self.begin()
            self.connection.run(f"LOCK TABLE prism_log.{table} IN ACCESS EXCLUSIVE MODE")
            if fate > 0.9:
                self.connection.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'")
            self.world.stop.wait(rng.uniform(0.1, 0.6) if fate > 0.9 else rng.uniform(0, 0.1))
            self.rollback()
        self.world.stop.wait(rng.uniform(0, 0.1))
