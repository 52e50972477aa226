"""Opening a file in the order that the interface asks for, and calling the component."""

import os
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store, Trap, WasmtimeError
from wasmtime.component import Component, Instance, Linker, ResourceHost

import values
from imports import DATABASE, Imports


TOOLS = ("-inspection", "-export", "-import")


class Runtime:
    """A component, compiled, and the one that has its tools."""

    def __init__(self, component: Path, tools: Path | None = None) -> None:
        config = Config()
        config.cache = True
        self.engine = Engine(config)
        self.component = Component.from_file(self.engine, str(component))
        self.tools = tools and Component.from_file(self.engine, str(tools))


def create_private(path: Path) -> None:
    """Creates the file, unless it is there, such that only this user can read it. SQLite
    would leave that to the umask."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass


class Database:
    """One connection to a file, with an instance of the store, and one of the tools
    once they are needed."""

    def __init__(self, runtime: Runtime, path: str, busy_timeout: float = 15.0) -> None:
        """Opens another connection to a file that `open` has accepted."""
        self.runtime = runtime
        self.imports = Imports(path, busy_timeout)
        self.linker = Linker(runtime.engine)
        self.imports.link(self.linker)
        self.instantiate()

    @classmethod
    def open(
        cls, runtime: Runtime, path: Path, kind: str, busy_timeout: float = 15.0
    ) -> "Database":
        """Opens a file that nothing else in this process has open, and makes it a
        database of this kind if it is empty or not there."""
        header = b""
        if path.exists():
            # On Unix, closing this would drop the locks of another connection.
            with path.open("rb") as file:
                header = file.read(100)
        unopened = cls(runtime, ":memory:")
        match unopened.call("format.classify", values.from_bytes(header), kind):
            case {"ok": state}:
                create_private(path)
                database = cls(runtime, str(path), busy_timeout)
            case {"err": mismatch}:
                raise ValueError(f"{path}: {mismatch}")
        if state == "empty":
            initialized = database.call(f"{kind}.initialize")
            if initialized != {"ok": "ready"}:
                raise ValueError(f"{path}: {initialized}")
        database.imports.use_wal()
        return database

    def instantiate(self) -> None:
        self.store = Store(self.runtime.engine)
        self.instance: Instance = self.linker.instantiate(
            self.store, self.runtime.component
        )
        self.tools: Instance | None = None

    def instance_with(self, interface: str) -> Instance:
        """The instance of the component that exports an interface."""
        if not interface.endswith(TOOLS):
            return self.instance
        if self.tools is None:
            self.tools = self.linker.instantiate(self.store, self.runtime.tools)
        return self.tools

    def call(self, name: str, *args: Any) -> Any:
        """Calls an export by its name, for example `session.commit`."""
        interface, function = name.split(".")
        instance = self.instance_with(interface)
        index = instance.get_export_index(self.store, f"lash:store/{interface}@0.1.0")
        index = instance.get_export_index(self.store, function, index)
        func = instance.get_func(self.store, index)
        ty = func.type(self.store)
        handle = ResourceHost.own(0, DATABASE).to_any(self.store)
        params = values.to_params(ty.params, args, handle)
        try:
            result = func(self.store, *params)
        except (Trap, WasmtimeError):
            # The instance is of no use any more.
            self.instantiate()
            raise
        finally:
            # Whatever ended the call, no transaction outlives it.
            self.imports.end_call()
        handle.drop(self.store)
        return values.from_value(ty.result, result)

    def close(self) -> None:
        self.imports.connection.close()
