"""A server of the torture's own, on a socket in its folder, and all the ways in which it goes down."""
import glob
import os
import re
import signal
import subprocess
import time

import pq

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
shared_preload_libraries = '{preload}'
wal_level = logical
max_worker_processes = 24
max_connections = 60
shared_buffers = 64MB
fsync = off
restart_after_crash = on
statement_timeout = 60s
autovacuum_naptime = 1s
log_line_prefix = '%m [%p] %b %e '
log_min_messages = warning
prism.segment_messages = {segment}
prism.max_topics = {topics}
prism.max_groups = {groups}
prism.group_window = 1024
{more}
"""


class Server:
    def __init__(self, folder, bindir, preload, **settings):
        self.data, self.log, self.bindir = f"{folder}/data", f"{folder}/server.log", bindir
        self.socket = folder if len(folder) < 80 else f"/tmp/torture-{os.getpid()}"
        os.makedirs(self.socket, mode=0o700, exist_ok=True)
        self.tool("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        plugins = ""
        if "\noutput_plugin_libraries\t" in self.tool("postgres", "--describe-config"):
            plugins = "output_plugin_libraries = 'pgoutput, test_decoding, prism'"
        with open(self.data + "/postgresql.conf", "a") as conf:
            conf.write(SETTINGS.format(socket=self.socket, preload=preload, more=plugins, **settings))

    def tool(self, name, *arguments):
        return subprocess.run([f"{self.bindir}/{name}", *arguments], check=True, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def connect(self, name):
        return pq.Connection(f"host='{self.socket}' user=postgres dbname=postgres application_name='{name}' options='-c client_min_messages=error'")

    def start(self):
        """A server that was killed can start when the last of its processes has noticed."""
        end = time.monotonic() + 60
        while True:
            try:
                # its output goes elsewhere: the server keeps what it inherits
                subprocess.run([f"{self.bindir}/pg_ctl", "-D", self.data, "-l", self.log, "-w", "start"], check=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                return
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def stop(self, mode):
        self.tool("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop")

    def kill(self):
        with open(self.data + "/postmaster.pid") as file:
            os.kill(int(file.readline()), signal.SIGKILL)

    def wait_until_ready(self):
        end = time.monotonic() + 60
        while True:
            try:
                self.connect("torture").close()
                return
            except pq.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def temporary_files(self):
        return glob.glob(self.data + "/base/pgsql_tmp/*")

    def complaints(self):
        """What no server may ever say, whoever made it say so."""
        with open(self.log, errors="replace") as log:
            return [line.rstrip() for line in log
                    if re.search(r"PANIC|TRAP|was terminated by signal (?!9\b)| (XX\w{3}|23505) (ERROR|FATAL):| prism [a-z]+ 57P01 FATAL|has lost its sequence|outside the valid range", line)]
