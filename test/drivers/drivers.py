"""What pg8000 and psycopg make of the arguments of prism.publish(): test/t/drivers.pl reads a line for each call, "name outcome"."""
import os

import pg8000.native
import psycopg
from psycopg.types.json import Jsonb

BINARY = bytes([0x00, 0xFF, 0x10])
JSON = '{"a": "\\\\"}'


def report(name, call):
    try:
        call(name)
        print(name, "ok")
    except pg8000.native.DatabaseError as error:
        print(name, error.args[0]["C"])
    except psycopg.Error as error:
        print(name, error.sqlstate)


def with_pg8000():
    socket = f"{os.environ['PGHOST']}/.s.PGSQL.{os.environ['PGPORT']}"
    connection = pg8000.native.Connection(os.environ["PGUSER"], unix_sock=socket, database=os.environ["PGDATABASE"])

    def one(value, cast=""):
        return lambda name: connection.run(f"SELECT prism.publish('drivers', :v{cast}, :n)", v=value, n=name)

    def batch(value, cast=""):
        return lambda name: connection.run(f"SELECT prism.publish_batch('drivers', :v{cast}, ARRAY[:n])", v=value, n=name)

    report("pg8000-bytes", one(BINARY))
    report("pg8000-bytes-typed", one(BINARY, "::bytea"))
    report("pg8000-json", one(JSON))
    report("pg8000-json-typed", one(JSON, "::jsonb"))
    report("pg8000-batch-bytes", batch([BINARY]))
    report("pg8000-batch-bytes-typed", batch([BINARY], "::bytea[]"))
    report("pg8000-batch-json", batch([JSON]))
    connection.close()


def with_psycopg():
    with psycopg.connect(autocommit=True) as connection:

        def one(value):
            return lambda name: connection.execute("SELECT prism.publish('drivers', %s, %s)", (value, name))

        def batch(value):
            return lambda name: connection.execute("SELECT prism.publish_batch('drivers', %s, ARRAY[%s])", (value, name))

        report("psycopg-bytes-typed", one(BINARY))
        report("psycopg-json", one(JSON))
        report("psycopg-json-typed", one(Jsonb({"a": "\\"})))
        report("psycopg-batch-bytes-typed", batch([BINARY]))
        report("psycopg-batch-json", batch([JSON]))


with_pg8000()
with_psycopg()
