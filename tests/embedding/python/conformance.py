"""Runs the component that checks a host on this one, see `wit/conformance.wit`."""

import sqlite3
from pathlib import Path
from typing import Any

from wasmtime import Store, Trap, WasmtimeError
from wasmtime.component import Linker, ResourceHost

from database import Runtime
from imports import DATABASE, Imports

CONFORMANCE = "lash:store/conformance@0.1.0"

# A rule waits as long for a lock.
BUSY_TIMEOUT = 0.1


class File:
    """A file that this host has open, and the second connection to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.imports = Imports(str(self.path), BUSY_TIMEOUT)
        self.imports.use_wal()
        self.second = sqlite3.connect(self.path, timeout=0, isolation_level=None)

    def close(self) -> None:
        self.second.close()
        self.imports.connection.close()

    def run(self, _store: Any, sql: str) -> list[int] | str:
        try:
            rows = self.second.execute(sql).fetchall()
        except sqlite3.Error as error:
            return str(error)
        return [row[0] for row in rows if isinstance(row[0], int)]


class Instance:
    """An instance of the component on a file."""

    def __init__(self, runtime: Runtime, file: File) -> None:
        linker = Linker(runtime.engine)
        file.imports.link(linker)
        with linker.root() as root:
            with root.add_instance("lash:store/second-connection@0.1.0") as second:
                second.add_func("run", file.run)
        self.store = Store(runtime.engine)
        self.instance = linker.instantiate(self.store, runtime.component)

    def call(self, name: str, *args: Any) -> Any:
        index = self.instance.get_export_index(self.store, CONFORMANCE)
        index = self.instance.get_export_index(self.store, name, index)
        return self.instance.get_func(self.store, index)(self.store, *args)

    def check(self, rule: str, step: int) -> str | None:
        handle = ResourceHost.own(0, DATABASE).to_any(self.store)
        wrong = self.call("check", handle, rule, step)
        handle.drop(self.store)
        return wrong


def rules(runtime: Runtime, directory: Path) -> list[Any]:
    file = File(directory / "rules.db")
    found = Instance(runtime, file).call("rules")
    file.close()
    return found


def check(runtime: Runtime, rule: Any, path: Path) -> str | None:
    """Says what was wrong with one rule."""
    file = File(path)
    try:
        instance = Instance(runtime, file)
        for number, step in enumerate(rule.steps):
            if step.reopen:
                file.close()
                file.open()
                instance = Instance(runtime, file)
            try:
                wrong = instance.check(rule.name, number)
                if wrong is None and step.traps:
                    wrong = "it did not trap"
            except (Trap, WasmtimeError) as trap:
                wrong = None if step.traps else f"it trapped: {trap}"
            except Exception as error:
                wrong = f"an import failed: {error!r}"
            finally:
                file.imports.end_call()
            if wrong is not None:
                return f"step {number}: {wrong}"
            if step.traps:
                instance = Instance(runtime, file)
    finally:
        file.close()
    return None
