#!/usr/bin/env python3
"""A TCP proxy that misbehaves on command, between a Kafka client and a broker.

	tcp_proxy.py LISTEN_PORT UPSTREAM_PORT

Commands are lines on standard input, each is answered by one line on standard output;
the proxy ends with its standard input, so it never outlives the test that started it.

	pass            everything flows again; also takes back hold and lose (what is held stays held)
	cut             reset all connections and refuse new ones
	reset           reset all connections, accept new ones
	swallow         nothing moves in either direction, connections stay open: packets vanish.
	                After "pass" all of it arrives, as it does after TCP's retransmission
	hold KEY [COUNT [reset]]
	                keep back the next COUNT (default: all) requests with this Kafka api key; other requests
	                overtake them. "reset": reset the client's connection after each, as when a network path
	                breaks while a packet is still under way
	lose KEY [COUNT [reset]]
	                let the next COUNT requests with this key through and lose their answers
	rewrite FROM TO
	                put other bytes (as many, in hex) into what the broker answers; "pass" takes it back
	release         deliver what is held, in order; for a client that is gone on a connection of its own
	held            how many requests are held
	lost            how many answers were lost
	seen KEY        how many requests with this key have come
	connections     how many clients are connected

Of Kafka's protocol it knows the head of a request (length int32, api key int16, api version int16,
correlation id int32) and of a response (length int32, correlation id int32).
"""
import collections
import os
import selectors
import socket
import struct
import sys

CHUNK_BYTES = 256 * 1024
QUEUE_BYTES_MAX = 4 * 1024 * 1024		# a slow side stops the other one here
REQUEST_HEAD = struct.Struct(">ihhi")
RESPONSE_HEAD = struct.Struct(">ii")


class Rule:
	"""A fault for the next 'count' requests of one api key; count None means all."""

	def __init__(self, key, count=None, reset=False):
		self.key = key
		self.count = count
		self.reset = reset

	def takes(self, key):
		if key != self.key or self.count == 0:
			return False
		if self.count is not None:
			self.count -= 1
		return True


class Frames:
	"""Cuts a byte stream into frames; asks 'decide' about each by its head: "pass", "hold" or "drop"."""

	def __init__(self, head, decide):
		self.head = head
		self.decide = decide
		self.buffer = bytearray()
		self.missing = 0				# bytes of the present frame still to come
		self.verdict = "pass"
		self.kept = bytearray()

	def feed(self, data):
		"""Returns (bytes to forward, frames to hold)."""
		self.buffer += data
		out, held = bytearray(), []
		while self.buffer:
			if self.missing == 0:
				if len(self.buffer) < self.head.size:
					break
				fields = self.head.unpack_from(self.buffer)
				self.missing = fields[0] + 4
				self.verdict = self.decide(fields)
				self.kept = bytearray()
			piece = self.buffer[:self.missing]
			del self.buffer[:len(piece)]
			self.missing -= len(piece)
			if self.verdict == "pass":
				out += piece
			elif self.verdict == "hold":
				self.kept += piece
				if self.missing == 0:
					held.append(bytes(self.kept))
		return out, held


class Pair:
	"""One client connection and its connection to the broker; without a client, the delivery of what was held for one."""

	def __init__(self, proxy, client, requests=()):
		self.proxy = proxy
		self.client = client
		self.server = socket.socket()
		self.server.setblocking(False)
		self.server.connect_ex(("127.0.0.1", proxy.upstream_port))
		self.queue = {self.server: bytearray(b"".join(requests))}
		if client is not None:
			client.setblocking(False)
			self.queue[client] = bytearray()
		for sock in self.queue:
			sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		self.requests = Frames(REQUEST_HEAD, self.decide_request)
		self.responses = Frames(RESPONSE_HEAD, self.decide_response)
		self.held = []
		self.releasing = []				# held once, to be sent when the present request has passed
		self.undelivered = len(requests)	# without a client: answers still to come
		self.losing = {}				# correlation id -> its rule
		self.reset_wanted = False

	def decide_request(self, fields):
		_, key, _, correlation_id = fields
		self.proxy.seen[key] += 1
		if self.proxy.hold and self.proxy.hold.takes(key):
			self.reset_wanted = self.reset_wanted or self.proxy.hold.reset
			return "hold"
		if self.proxy.lose and self.proxy.lose.takes(key):
			self.losing[correlation_id] = self.proxy.lose
		return "pass"

	def decide_response(self, fields):
		self.undelivered -= 1
		rule = self.losing.pop(fields[1], None)
		if rule is None:
			return "pass"
		self.proxy.lost += 1
		self.reset_wanted = self.reset_wanted or rule.reset
		return "drop"

	def readable(self, sock):
		try:
			data = sock.recv(CHUNK_BYTES)
		except BlockingIOError:
			return
		except OSError:
			data = b""
		if not data:
			self.close()
			return
		if sock is self.client:
			out, held = self.requests.feed(data)
			self.held += held
			self.queue[self.server] += out
			self.send_released()
		else:
			out, _ = self.responses.feed(data)
			if self.proxy.rewrite:
				out = out.replace(*self.proxy.rewrite)
			if self.client is not None:
				self.queue[self.client] += out
			elif self.undelivered == 0 and self.responses.missing == 0:
				self.close()
				return
		# A request that is to be held must have come whole before its connection may break.
		if self.reset_wanted and (self.requests.missing == 0 or self.requests.verdict != "hold"):
			self.close(reset=True)

	def writable(self, sock):
		try:
			sent = sock.send(self.queue[sock][:CHUNK_BYTES])
		except BlockingIOError:
			return
		except OSError:
			self.close()
			return
		del self.queue[sock][:sent]

	def release(self):
		self.releasing += self.held
		self.held = []
		self.send_released()

	def send_released(self):
		if self.requests.missing == 0:
			self.queue[self.server] += b"".join(self.releasing)
			self.releasing = []

	def close(self, reset=False):
		"""Both sides go.  What was held stays with the proxy and is delivered on a connection of its own."""
		if self.held or self.releasing:
			self.proxy.orphans.append(self.releasing + self.held)
			self.held, self.releasing = [], []
		for sock in self.queue:
			if reset:					# no lingering: RST instead of FIN
				sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
			sock.close()
		self.queue = {}
		self.proxy.pairs.discard(self)

	def interest(self):
		"""What to wait for on each side."""
		for sock, queue in self.queue.items():
			opposite = self.server if sock is self.client else self.client
			events = 0
			if opposite is None or len(self.queue[opposite]) < QUEUE_BYTES_MAX:
				events |= selectors.EVENT_READ
			if queue:
				events |= selectors.EVENT_WRITE
			if events:
				yield sock, events


class Proxy:
	def __init__(self, listen_port, upstream_port):
		self.listen_port = listen_port
		self.upstream_port = upstream_port
		self.pairs = set()
		self.orphans = []				# requests held for clients that are gone, a list for each
		self.swallowing = False
		self.hold = None
		self.lose = None
		self.rewrite = None
		self.lost = 0
		self.seen = collections.Counter()
		self.commands = bytearray()
		self.listener = None
		self.listen()

	def listen(self):
		if self.listener is None:
			self.listener = socket.socket()
			self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
			self.listener.bind(("127.0.0.1", self.listen_port))
			self.listener.listen(64)
			self.listener.setblocking(False)

	def reset_all(self):
		for pair in list(self.pairs):
			pair.close(reset=True)

	def command(self, line):
		word, *arguments = line.split()
		if word == "pass":
			self.swallowing, self.hold, self.lose, self.rewrite = False, None, None, None
			self.listen()
		elif word == "cut":
			self.listener and self.listener.close()
			self.listener = None
			self.reset_all()
		elif word == "reset":
			self.reset_all()
		elif word == "swallow":
			self.swallowing = True
		elif word in ("hold", "lose"):
			rule = Rule(int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else None, "reset" in arguments)
			setattr(self, word, rule)
		elif word == "rewrite":
			self.rewrite = tuple(map(bytes.fromhex, arguments))
		elif word == "release":
			for pair in self.pairs:
				pair.release()
			self.pairs |= {Pair(self, None, requests) for requests in self.orphans}
			self.orphans = []
		elif word == "held":
			return str(sum(len(pair.held) for pair in self.pairs) + sum(map(len, self.orphans)))
		elif word == "lost":
			return str(self.lost)
		elif word == "seen":
			return str(self.seen[int(arguments[0])])
		elif word == "connections":
			return str(sum(pair.client is not None for pair in self.pairs))
		else:
			return "unknown command"
		return "ok"

	def read_commands(self):
		data = os.read(0, 4096)
		if not data:
			sys.exit(0)
		self.commands += data
		while b"\n" in self.commands:
			line, _, rest = self.commands.partition(b"\n")
			self.commands = bytearray(rest)
			print(self.command(line.decode()), flush=True)

	def accept(self):
		try:
			client, _ = self.listener.accept()
		except OSError:
			return
		self.pairs.add(Pair(self, client))

	def step(self):
		"""Waits for something to do and does it.  A selector is made anew each time: there are few sockets."""
		with selectors.DefaultSelector() as selector:
			selector.register(0, selectors.EVENT_READ)
			if not self.swallowing:
				if self.listener:
					selector.register(self.listener, selectors.EVENT_READ)
				for pair in self.pairs:
					for sock, events in pair.interest():
						selector.register(sock, events, pair)
			for key, events in selector.select():
				if key.fd == 0:
					self.read_commands()
					return				# a command may have changed everything
				if key.data is None:
					self.accept()
					continue
				if events & selectors.EVENT_WRITE and key.fileobj in key.data.queue:
					key.data.writable(key.fileobj)
				if events & selectors.EVENT_READ and key.fileobj in key.data.queue:
					key.data.readable(key.fileobj)


def main():
	if len(sys.argv) != 3:
		sys.exit(__doc__)
	proxy = Proxy(int(sys.argv[1]), int(sys.argv[2]))
	print("ready", flush=True)
	while True:
		proxy.step()


if __name__ == "__main__":
	main()
