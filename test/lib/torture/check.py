"""What must be true when the noise is over."""
import collections
import json
import time

import pq

SETTLE_S = 100


def wait(world, kind, question, *queries):
    """Until each query answers 't'; a fault with what is there when that does not come."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        if all(world.session.value(query) == "t" for query in queries):
            return True
        time.sleep(0.1)
    world.model.fault(kind, question + ": " + "; ".join(str(world.session.run(query)) for query in queries))
    return False


def read_log(world, topic, page):
    """The whole log by pages: [(position, uid, created_at, payload, key)]"""
    rows, start = [], None
    while True:
        found = world.session.run('SELECT "position", convert_from(payload, \'UTF8\'), created_at, key FROM prism.read($1, $2::bigint, $3::int)', topic, start, page)
        if not found:
            return rows
        rows += [(int(position), json.loads(payload)["u"], created_at, payload, key) for position, payload, created_at, key in found]
        start = rows[-1][0] + 1


def read_logs(world):
    model, logs = world.model, {}
    for topic, topic_id in world.stable.items():
        rows = logs[topic] = read_log(world, topic, 10000)
        for page in (1 + world.seed % 97, 250):
            if topic in world.trimmed:
                break
            again = [(position, uid) for position, uid, *_ in read_log(world, topic, page)]
            missing = set((row[0], row[1]) for row in rows) ^ set(again)
            if missing:
                position, uid = min(missing)
                model.fault("pages", f"{len(missing)} messages of {topic} come in one reading and not in the other, pages of {page}; the first at position {position}", uid)
        for position, uid, *_ in rows:
            model.see("the last reader", topic_id, position, uid)
        if rows:
            kept = {row[0] for row in rows}
            for position in model.log[topic_id].keys() - kept:
                lost = model.messages[model.log[topic_id][position]].transaction
                if (position > rows[0][0] or topic not in world.trimmed) and not model.may_be_lost(lost):
                    model.fault("gone", f"position {position} of {topic} was read before and is not there any more", model.log[topic_id][position])
    return logs


def check_messages(world, logs):
    """Each message of a committed transaction once, none of another; as it was sent; not before its time."""
    model = world.model
    places = collections.defaultdict(list)
    for topic_id, positions in model.log.items():
        for position, uid in positions.items():
            places[uid].append((topic_id, position))
    trimmed = {world.stable[topic] for topic in world.trimmed}
    seen_of = collections.Counter()
    for uid, found in places.items():
        message = model.messages.get(uid)
        if message is None:
            model.fault("phantom", f"message {uid} at {found} was never published")
            continue
        if not message.alive or (message.transaction.status == "aborted" and message.transaction.number not in model.lost_in_crash):
            model.fault("phantom", f"it was rolled back and is at {found}", uid)
        if len(found) > 1:
            model.fault("twice", f"at {found}", uid)
        if message.topic_id is not None and found[0][0] != message.topic_id:
            model.fault("elsewhere", f"published to topic {message.topic_id}, found at {found}", uid)
        seen_of[message.transaction.number] += 1
    for message in model.messages.values():
        if message.alive and message.transaction.status == "committed" and message.uid not in places and message.topic_id in model.there - trimmed:
            model.fault("lost", "its transaction committed and nobody finds it", message.uid)
    for t in model.transactions:
        expected = [m for m in t.messages if m.alive and m.topic_id in model.there - trimmed]
        found = sum(1 for m in expected if m.uid in places)
        if t.status == "unknown" and found not in (0, len(expected)):
            model.fault("torn", f"{found} of {len(expected)} messages of transaction {t.number}", expected[0].uid)
    for topic, rows in logs.items():
        for position, uid, created_at, payload, key in rows:
            message = model.messages.get(uid)
            if message is None:
                continue
            if payload.encode() != message.payload() or key != message.key:
                model.fault("changed", f"position {position} of {topic}: {payload[:100]}, key {key}", uid)
            if message.due is not None and created_at < message.due:
                model.fault("too early", f"delivered at {created_at}", uid)
    return places


def check_order(world, logs):
    """Who was done before another asked is before him; a transaction's messages lie together; keys ascend."""
    model = world.model
    for topic, rows in logs.items():
        last_n, asked, whose = {}, 0, None
        first, last, count = {}, {}, collections.Counter()
        for position, uid, _, _, key in rows:
            message = model.messages.get(uid)
            if message is None or message.due is not None:
                continue
            t = message.transaction
            if t.number not in first:
                first[t.number] = position
                if t.done is not None and t.done < asked:
                    model.fault("order", f"transaction {t.number} was done at {t.done}, before transaction {whose} asked for its commit at {asked}, and lies behind it", uid)
                if t.asked is not None and t.asked > asked:
                    asked, whose = t.asked, t.number
            last[t.number] = position
            count[t.number] += 1
            if message.n:
                if message.n <= last_n.get(key, 0):
                    model.fault("order", f"{key} of {topic}: {message.n} at position {position} after {last_n[key]}", uid)
                last_n[key] = message.n
        for t in model.transactions:
            if t.number not in first or topic in world.trimmed:
                continue
            span = (first[t.number], last[t.number])
            live = sum(1 for m in t.messages if m.alive and m.topic == topic and m.due is None)
            uid = next(m.uid for m in t.messages if m.topic == topic)
            if span[1] - span[0] + 1 != count[t.number] or count[t.number] != live:
                model.fault("torn", f"{live} messages of transaction {t.number} lie at {span}, {count[t.number]} of them found", uid)
            if t.status == "committed" and topic in t.positions and t.positions[topic] != span:
                model.fault("elsewhere", f"prism.last_position() of transaction {t.number} said {t.positions[topic]}, they lie at {span}", uid)


def dead_letters(world, topic):
    """(group, position) -> how many dead letters there are of it."""
    if topic in world.trimmed or world.session.value("SELECT count(*) FROM prism.topic WHERE name = $1", topic + ".dlq") == "0":
        return collections.Counter()
    rows = world.session.run("SELECT headers ->> 'dead_letter_group', headers ->> 'dead_letter_position' FROM prism.read($1, NULL, 1000000)", topic + ".dlq")
    return collections.Counter((group, int(position)) for group, position in rows)


def finishes(world, topic, group):
    """position -> transactions that finished it and committed, as their clients know."""
    found = collections.defaultdict(list)
    for t in world.model.transactions:
        if t.status == "committed":
            for of_topic, of_group, position, verb in t.finished:
                # retention takes dead letters as well
                if (of_topic, of_group) == (topic, group) and (verb == "ack" or topic in world.trimmed):
                    found[position].append(t)
    return found


def check_lag(world, logs):
    """prism.groups against the model, before anybody drains. Offsets of a transaction that failed behind its registration count until they are read, when a crash came soon after."""
    model = world.model
    for topic, group in world.exact:
        letters, done = dead_letters(world, topic), finishes(world, topic, group)
        rows = world.session.run('SELECT lag_messages, "position" FROM prism.groups WHERE topic = $1 AND consumer_group = $2', topic, group)
        if not rows or rows[0][0] is None:
            model.fault("lag", f"{group} of {topic} is not in prism.groups: {rows}")
            continue
        lag, position = map(int, rows[0])
        positions = [row[0] for row in logs[topic] if row[1] in model.messages and not world.passes(group, row[1])]
        unfinished = sum(1 for p in positions if p not in done and (group, p) not in letters)
        end = int(world.session.value("SELECT next_position FROM prism.topics WHERE topic = $1", topic))
        jumped = int(world.session.value('SELECT coalesce(sum(least(skipped, to_offset - greatest(from_offset, $2::bigint))), 0) FROM prism.jump WHERE topic_id = $1::int AND to_offset > $2::bigint',
                                         world.stable[topic], position))
        holes = max(0, end - position - jumped - sum(1 for row in logs[topic] if row[0] >= position))
        passed = sum(1 for row in logs[topic] if row[0] >= position and world.passes(group, row[1]))
        if not unfinished <= lag <= unfinished + holes + passed:
            model.fault("lag", f"{group} of {topic} at {position}: {lag} messages behind, it is {unfinished} (and up to {holes} holes, {passed} that do not match)")


def drain(world):
    """All groups to their end; one that does not get there stands still."""
    for topic, group, filter in world.groups:
        end, error = time.monotonic() + SETTLE_S, None
        while time.monotonic() < end:
            try:
                if drain_once(world, topic, group, filter):
                    break
            except pq.Error as problem:
                error = problem
                world.session.run("ROLLBACK")
                time.sleep(1)
        else:
            state = world.session.run("SELECT * FROM prism.groups WHERE topic = $1 AND consumer_group = $2", topic, group)
            world.model.fault("standstill", f"{group} of {topic} does not come to its end: {state} {error or ''}")


def drain_once(world, topic, group, filter):
    """True: there is nothing more."""
    session, model, who = world.session, world.model, "the last consumer"
    t = model.begin(who, False)
    session.run("BEGIN")
    asked = model.clock()
    more = f", filter => '{filter}'" if filter else ""
    rows = session.run("SELECT \"position\", key, convert_from(payload, 'UTF8'), prism.ack(m) "
                       f"FROM prism.consume($1, $2, 500, lease => '5 s'{more}) m", topic, group)
    model.handed[topic, group].append((asked, model.clock(), {int(row[0]): row[1] for row in rows}, who))
    for position, _, payload, _ in rows:
        uid = json.loads(payload)["u"]
        model.see(who, world.stable[topic], int(position), uid)
        model.note(uid, who, f"acknowledged at position {position}")
    t.asked = model.clock()
    session.run("COMMIT")
    t.finished = [(topic, group, int(row[0]), "ack") for row in rows]
    t.done, t.status = model.clock(), "committed"
    if rows:
        return False
    if session.value("SELECT lag_messages = 0 FROM prism.groups WHERE topic = $1 AND consumer_group = $2", topic, group) == "t":
        return True
    time.sleep(0.05)
    return False


def check_groups(world, logs):
    """Each message finished once, by an acknowledgement or a dead letter; none handed out before an earlier one of its key was done."""
    model = world.model
    for topic, group in world.exact:
        letters, done = dead_letters(world, topic), finishes(world, topic, group)
        # retention has taken some since they were read
        uids = {row[0]: row[1] for row in logs[topic]}
        uids.update((position, uid) for position, uid in model.log[world.stable[topic]].items() if model.messages[uid].transaction.status == "committed")
        for position, uid in uids.items():
            if world.passes(group, uid):
                if position in done:
                    model.fault("filter", f"{group} was handed position {position}, which does not match", uid)
                continue
            times = len(done[position]) if position in done else 0
            if times + letters[group, position] == 0:
                model.fault("lost", f"{group} of {topic} never finished position {position} and does not miss it", uid)
            elif times + letters[group, position] > 1:
                model.fault("twice", f"{group} of {topic}: position {position} acknowledged by {[t.number for t in done.get(position, [])]}, {letters[group, position]} dead letters", uid)
        for position in done.keys() - uids.keys() - model.log[world.stable[topic]].keys():
            model.fault("phantom", f"{group} of {topic} acknowledged position {position}, which is not there")
        if world.ordering(group) != "none":
            check_handed(world, topic, group, uids, done)
    for topic, group in world.sought:
        check_sought(world, topic, group, logs)


def check_handed(world, topic, group, uids, done):
    """For each key: when a position came out, all before it had been asked to be finished, or came along."""
    model = world.model
    finished_by = {position: min(t.asked for t in found) for position, found in done.items()}
    of_key = collections.defaultdict(list)
    strict = world.ordering(group) == "strict"
    for position in sorted(uids):
        of_key["" if strict else model.messages[uids[position]].key].append(position) if uids[position] in model.messages else None
    index = {position: i for positions in of_key.values() for i, position in enumerate(positions)}
    for asked, got, batch, who in model.handed[topic, group]:
        for position, key in batch.items():
            positions = of_key.get("" if strict else key, [])
            before = index.get(position, 0) - 1
            while before >= 0 and positions[before] in batch:
                before -= 1
            # those farther back were done when this one came out: it is enough to look at the one before
            finish = finished_by.get(positions[before], 0) if before >= 0 else 0
            # a crash may have undone what was finished before
            if finish > got and not any(got < crash < finish for crash in model.crashes):
                model.fault("overtaken", f"{group} of {topic}: {who} was handed position {position} at {got}, position {positions[before]} of its key "
                            f"was finished after {finished_by[positions[before]]}", uids[position])


def check_sought(world, topic, group, logs):
    """Finished again only with a seek in between; behind the last seek nothing is missing."""
    model = world.model
    seeks = [s for s in model.seeks if (s.topic, s.group) == (topic, group) and s.transaction.status == "committed"]
    done, letters = finishes(world, topic, group), dead_letters(world, topic)
    last = max((s.transaction.asked for s in seeks), default=0)
    start = max((s.position for s in seeks if s.transaction.done is None or s.transaction.done >= last), default=0)
    for position, uid, *_ in logs[topic]:
        found = sorted(done.get(position, []), key=lambda t: t.begin)
        for one, two in zip(found, found[1:]):
            if not any(s.position <= position and (s.transaction.done is None or s.transaction.done > one.begin) and (two.done is None or s.transaction.asked < two.done) for s in seeks):
                model.fault("twice", f"{group} of {topic}: position {position} acknowledged by transactions {one.number} and {two.number}, no seek in between", uid)
        if position >= start and not letters[group, position] and not any(t.done is None or t.done > last for t in found):
            model.fault("lost", f"{group} of {topic} never finished position {position} after its last seek at {last}", uid)


def check_sinks(world, logs):
    """A sink that says that it is through sends all of them again when it is told to, and counts them."""
    session = world.session
    for sink in world.sinks:
        session.run("SELECT prism.resume($1)", sink)
    if not wait(world, "standstill", "a sink does not come to its end",
                *[f"SELECT bool_and(lag_messages = 0 AND state = 'running') FROM prism.sinks WHERE topic = '{sink}'" for sink in world.sinks]):
        return
    topic = world.sinks[0]
    session.run("SELECT prism.pause($1)", topic)
    wait(world, "standstill", "a sink is not paused", f"SELECT state = 'paused' FROM prism.sinks WHERE topic = '{topic}'")
    before = int(session.value("SELECT messages_total FROM prism.sinks WHERE topic = $1", topic))
    session.run("SELECT prism.skip($1, to_position => $2::bigint)", topic, logs[topic][0][0])
    session.run("SELECT prism.resume($1)", topic)
    wait(world, "standstill", "a sink does not send again",
         f"SELECT lag_messages = 0 AND state = 'running' AND messages_total - {before} >= {len(logs[topic])} FROM prism.sinks WHERE topic = '{topic}'")
    sent = int(session.value("SELECT messages_total FROM prism.sinks WHERE topic = $1", topic)) - before
    if sent != len(logs[topic]):
        world.model.fault("lost", f"the sink of {topic} sent {sent} messages, the log has {len(logs[topic])}")


def check_handler(world, logs):
    topic = world.handled
    wait(world, "standstill", "the handler does not come to its end", f"SELECT lag_messages = 0 FROM prism.groups WHERE topic = '{topic}' AND consumer_group = 'handler'")
    handled = collections.Counter(int(row[0]) for row in world.session.run("SELECT uid FROM handled"))
    letters = dead_letters(world, topic)
    for position, uid, *_ in logs[topic]:
        times = handled[uid] + letters["handler", position]
        if times != 1:
            world.model.fault("twice" if times else "lost", f"the handler was given position {position} {handled[uid]} times, {letters['handler', position]} dead letters", uid)


def places_left(world):
    """How many topics and groups find a place now."""
    session, names, groups = world.session, 0, 0
    try:
        while True:
            session.run("SELECT prism.apply($1)", f"{{name: place{names}, client_api: queue}}")
            session.run("SELECT prism.publish($1, 'x')", f"place{names}")
            names += 1
    except pq.Error as error:
        if error.state != "53400":
            raise
    try:
        while True:
            session.run("SELECT prism.consume('place0', $1)", f"g{groups}")
            groups += 1
    except pq.Error as error:
        if error.state != "53400":
            raise
    for (name,) in session.run("SELECT namespace FROM prism.namespaces WHERE namespace LIKE 'place%'"):
        session.run("SELECT prism.drop_namespace($1, true)", name)
    return names, groups


def check_places(world):
    for (name,) in world.session.run("SELECT namespace FROM prism.namespaces"):
        world.session.run("SELECT prism.drop_namespace($1, true)", name)
    wait(world, "standstill", "workers keep dropped topics", "SELECT count(*) = 0 FROM prism.sink")
    now = places_left(world)
    if now != world.places:
        world.model.fault("leak", f"(topics, groups) that find a place in shared memory: {now}, in the beginning {world.places}")
