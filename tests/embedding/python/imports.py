"""What the component imports: SQLite, a clock and random numbers."""

import secrets
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

from wasmtime.component import (
    Linker,
    Record,
    ResourceAny,
    ResourceHost,
    ResourceType,
    Variant,
)

DATABASE, TRANSACTION = 1, 2

READ_ONLY, WRITABLE = "PRAGMA query_only = ON", "PRAGMA query_only = OFF"

BEGIN = {
    "read": (READ_ONLY, "BEGIN"),
    "write": (WRITABLE, "PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE"),
    "write-durable": (WRITABLE, "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"),
}

# The module finds a statement by its text, compiled, and then SQLite asks nobody
# whether it is allowed.
COMMANDS = {sql for begin in BEGIN.values() for sql in begin} | {"COMMIT", "ROLLBACK"}

CODES = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "not-a-database",
    sqlite3.SQLITE_CONSTRAINT: "constraint",
    sqlite3.SQLITE_TOOBIG: "too-big",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
    sqlite3.SQLITE_AUTH: "denied",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_CANTOPEN: "io",
    sqlite3.SQLITE_MISUSE: "misuse",
    sqlite3.SQLITE_RANGE: "misuse",
}

ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_RECURSIVE,
}


class Imports:
    """One connection, lent to one call at a time."""

    def __init__(self, path: str, busy_timeout: float = 15.0) -> None:
        """Sets on a connection what `wit/sqlite.wit` asks for."""
        self.connection = sqlite3.connect(
            path, timeout=busy_timeout, isolation_level=None
        )
        self.transaction = 0
        self.trusted = True
        self.now_ms: int | None = None
        self.command("PRAGMA foreign_keys = ON")
        self.connection.set_authorizer(self.authorize)
        self.trusted = False

    def authorize(self, action: int, name: str | None, function: str | None, *_) -> int:
        """Transactions are the host's, and so is everything beyond the tables."""
        allowed = (
            self.trusted
            or action in ALLOWED
            or (action == sqlite3.SQLITE_FUNCTION and function != "load_extension")
            or (
                action == sqlite3.SQLITE_PRAGMA
                and name in ("application_id", "user_version")
            )
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def command(self, sql: str) -> None:
        """Runs a statement of the host's own."""
        self.trusted = True
        try:
            self.connection.execute(sql).close()
        finally:
            self.trusted = False

    def use_wal(self) -> None:
        """Puts the file into WAL mode, which takes no lock if it is in it already."""
        self.command("PRAGMA journal_mode = WAL")

    def end_call(self) -> None:
        """Rolls back what a call left open."""
        self.transaction += 1
        if self.connection.in_transaction:
            self.command("ROLLBACK")

    def begin(self, store: Any, database: ResourceAny, mode: str) -> Any:
        # A borrowed handle is to be given back.
        database.drop(store)

        def run() -> ResourceHost:
            if self.connection.in_transaction:
                raise Refused("misuse", "a transaction is open already")
            for sql in BEGIN[mode]:
                self.command(sql)
            self.transaction += 1
            return ResourceHost.own(self.transaction, TRANSACTION)

        return answer(run)

    def check(self, rep: int) -> None:
        if rep != self.transaction or not self.connection.in_transaction:
            raise Refused("misuse", "the transaction has ended")

    def statement(self, sql: str, params: Iterable[Any]) -> sqlite3.Cursor:
        if sql.strip() in COMMANDS:
            raise Refused("denied", "transactions are the host's")
        # The module takes no statement for one that does nothing.
        if not sql.strip():
            raise Refused("misuse", "there is no statement")
        return self.connection.execute(sql, tuple(params))

    def changed(self, sql: str, params: Iterable[Any]) -> int:
        cursor = self.statement(sql, params)
        if cursor.fetchone() is not None:
            raise Refused("misuse", "the statement returns rows")
        # -1 is said of a statement that changes no rows.
        return max(cursor.rowcount, 0)

    def execute_many(
        self, store: Any, this: ResourceAny, sql: str, rows: list[list[Any]]
    ) -> Any:
        def run() -> int:
            self.check(this.to_host(store).rep)
            return sum(self.changed(sql, row) for row in rows)

        return answer(run)

    def execute(
        self, store: Any, this: ResourceAny, sql: str, params: list[Any]
    ) -> Any:
        return self.execute_many(store, this, sql, [params])

    def query(
        self, store: Any, this: ResourceAny, sql: str, params: list[Any]
    ) -> Variant:
        def run() -> Record:
            self.check(this.to_host(store).rep)
            rows = self.statement(sql, params).fetchall()
            cells = b"".join(pack(value) for row in rows for value in row)
            return record(count=len(rows), cells=cells)

        result = answer(run)
        # The binding cannot tell one record from another.
        return Variant("ok" if hasattr(result, "cells") else "err", result)

    def commit(self, store: Any, this: ResourceAny) -> Any:
        # The handle is given away by this.
        rep = this.to_host(store).rep

        def run() -> None:
            self.check(rep)
            self.command("COMMIT")

        try:
            return answer(run)
        finally:
            # A handle of an earlier transaction does not end the one that is open.
            self.drop(store, rep)

    def drop(self, _store: Any, rep: int) -> None:
        if rep == self.transaction:
            self.end_call()

    def now(self, _store: Any) -> Record:
        ns = time.time_ns() if self.now_ms is None else self.now_ms * 1_000_000
        return record(seconds=ns // 10**9, nanoseconds=ns % 10**9)

    def link(self, linker: Linker) -> None:
        """Offers all of this to a component."""
        with linker.root() as root:
            with root.add_instance("lash:store/sqlite@0.1.0") as sqlite:
                sqlite.add_resource(
                    "database", ResourceType.host(DATABASE), lambda *_: None
                )
                sqlite.add_resource(
                    "transaction", ResourceType.host(TRANSACTION), self.drop
                )
                sqlite.add_func("[method]database.begin", self.begin)
                sqlite.add_func("[method]transaction.execute", self.execute)
                sqlite.add_func("[method]transaction.execute-many", self.execute_many)
                sqlite.add_func("[method]transaction.query", self.query)
                sqlite.add_func("[static]transaction.commit", self.commit)
            with root.add_instance("wasi:clocks/wall-clock@0.2.0") as clock:
                clock.add_func("now", self.now)
            with root.add_instance("wasi:random/random@0.2.0") as random:
                random.add_func("get-random-u64", lambda _: secrets.randbits(64))


class Refused(Exception):
    """A rule of the interface that does not hold."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def record(**fields: Any) -> Record:
    result = Record()
    for name, value in fields.items():
        setattr(result, name.replace("_", "-"), value)
    return result


def answer(run: Callable[[], Any]) -> Any:
    """What a function answers, or the failure as the interface has it."""
    try:
        return run()
    except sqlite3.Error as error:
        extended = getattr(error, "sqlite_errorcode", 0)
        # The module itself refuses a wrong number of parameters, for example.
        code = CODES.get(extended & 0xFF, "other") if extended else "misuse"
        return record(code=code, extended_code=extended, message=str(error))
    except Refused as error:
        return record(code=error.code, extended_code=0, message=str(error))


def pack(value: Any) -> bytes:
    match value:
        case None:
            return b"\0"
        case int():
            return struct.pack("<Bq", 1, value)
        case float():
            return struct.pack("<Bd", 2, value)
        case str():
            text = value.encode()
            return struct.pack("<BI", 3, len(text)) + text
        case _:
            return struct.pack("<BI", 4, len(value)) + value
