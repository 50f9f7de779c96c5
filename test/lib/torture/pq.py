"""libpq, as much of it as the torture needs: every machine with a server has it, a driver for Python it has not."""
import ctypes
import ctypes.util
import os
import subprocess


NOTICE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
ignore_notice = NOTICE(lambda argument, message: None)


def load():
    name = ctypes.util.find_library("pq")
    if name is None:
        folder = subprocess.check_output([os.environ.get("PG_CONFIG", "pg_config"), "--libdir"], text=True).strip()
        name = folder + "/libpq.so.5"
    lib = ctypes.CDLL(name)     # lets other threads run during a call
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for function, result, arguments in (
            ("PQconnectdb", pointer, [text]), ("PQstatus", number, [pointer]), ("PQfinish", None, [pointer]),
            ("PQerrorMessage", text, [pointer]), ("PQbackendPID", number, [pointer]), ("PQexec", pointer, [pointer, text]),
            ("PQexecParams", pointer, [pointer, text, number, pointer, pointer, pointer, pointer, number]),
            ("PQresultStatus", number, [pointer]), ("PQresultErrorField", text, [pointer, number]), ("PQcmdStatus", text, [pointer]),
            ("PQntuples", number, [pointer]), ("PQnfields", number, [pointer]), ("PQclear", None, [pointer]),
            ("PQsetNoticeProcessor", pointer, [pointer, NOTICE, pointer]), ("PQgetvalue", text, [pointer, number, number]), ("PQgetisnull", number, [pointer, number, number])):
        entry = getattr(lib, function)
        entry.restype, entry.argtypes = result, arguments
    return lib


LIB = load()
DONE, ROWS = (1, 0), 2          # PGRES_COMMAND_OK, PGRES_EMPTY_QUERY; PGRES_TUPLES_OK


class Error(Exception):
    """What the server said. lost: the connection is gone, and whether a COMMIT happened is in doubt."""

    def __init__(self, state, message, statement, lost):
        super().__init__(f"{state or '-----'}: {message}")
        self.state, self.message, self.statement, self.lost = state or "", message, statement, lost


class Connection:
    def __init__(self, conninfo):
        self.handle = LIB.PQconnectdb(conninfo.encode())
        self.statement = ""
        if LIB.PQstatus(self.handle) != 0:
            message = LIB.PQerrorMessage(self.handle).decode(errors="replace").strip()
            self.close()
            raise Error("08006", message, "connect", True)
        LIB.PQsetNoticeProcessor(self.handle, ignore_notice, None)
        self.pid = LIB.PQbackendPID(self.handle)

    def close(self):
        if self.handle:
            LIB.PQfinish(self.handle)
            self.handle = None

    def run(self, statement, *params):
        """Rows as tuples of text or None; the command's tag when it returns none."""
        self.statement = statement
        if params:
            values = (ctypes.c_char_p * len(params))(*[None if p is None else str(p).encode() for p in params])
            result = LIB.PQexecParams(self.handle, statement.encode(), len(params), None, values, None, None, 0)
        else:
            result = LIB.PQexec(self.handle, statement.encode())
        self.statement = ""
        try:
            status = LIB.PQresultStatus(result)
            if status == ROWS:
                return [tuple(None if LIB.PQgetisnull(result, row, column) else LIB.PQgetvalue(result, row, column).decode()
                              for column in range(LIB.PQnfields(result))) for row in range(LIB.PQntuples(result))]
            if status in DONE:
                return LIB.PQcmdStatus(result).decode()
            self.refuse(result, statement)
        finally:
            LIB.PQclear(result)

    def refuse(self, result, statement):
        fields = [LIB.PQresultErrorField(result, ord(code)) for code in "CMVD"]
        state, message, severity, detail = [field.decode(errors="replace") if field else "" for field in fields]
        lost = severity in ("FATAL", "PANIC") or LIB.PQstatus(self.handle) != 0
        message = message or LIB.PQerrorMessage(self.handle).decode(errors="replace").strip()
        raise Error(state, message + (f" ({detail})" if detail else ""), statement, lost)

    def value(self, statement, *params):
        rows = self.run(statement, *params)
        return rows[0][0] if rows else None
