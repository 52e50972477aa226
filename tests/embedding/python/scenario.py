"""Runs the scenarios that the languages share, see `tests/embedding/README.md`."""

import sqlite3
from pathlib import Path
from typing import Any

from database import Database, Runtime


class Run:
    """One scenario that runs on a file."""

    def __init__(self, runtime: Runtime, scenario: Any, values: Any, path: Path):
        self.runtime = runtime
        self.scenario = scenario
        self.values = values
        self.path = path
        self.connections: dict[str, Database] = {}
        self.lock: sqlite3.Connection | None = None
        self.now_ms: int | None = None
        self.kept: dict[str, Any] = {}

    def run(self) -> None:
        for number, step in enumerate(self.scenario["steps"], 1):
            try:
                self.step(step)
            except Exception as error:
                error.add_note(f"in step {number}: {step}")
                raise
        self.close()

    def step(self, step: Any) -> None:
        match step:
            case {"clock-ms": now}:
                self.now_ms = now
            case {"reopen": _}:
                self.close()
            case {"lock": True}:
                self.lock = sqlite3.connect(self.path, isolation_level=None)
                self.lock.execute("BEGIN IMMEDIATE")
            case {"lock": False}:
                self.lock.close()
            case _:
                self.call(step)

    def call(self, step: Any) -> None:
        args = [self.resolve(arg) for arg in step.get("args", [])]
        database = self.connection(step.get("on", "first"))
        database.imports.now_ms = self.now_ms
        answer = database.call(step["call"], *args)
        if "answer" in step and not matches(self.resolve(step["answer"]), answer):
            raise AssertionError(f"the answer is {answer}")
        for variable, path in step.get("keep", {}).items():
            found = answer
            for part in path.split("/")[1:]:
                found = found[int(part) if isinstance(found, list) else part]
            self.kept[variable] = found

    def connection(self, name: str) -> Database:
        if name not in self.connections:
            wait = self.scenario.get("busy-timeout-ms", 15_000) / 1000
            if self.connections:
                database = Database(self.runtime, str(self.path), wait)
            else:
                kind = self.scenario["kind"]
                database = Database.open(self.runtime, self.path, kind, wait)
            self.connections[name] = database
        return self.connections[name]

    def close(self) -> None:
        for database in self.connections.values():
            database.close()
        self.connections.clear()

    def resolve(self, json: Any) -> Any:
        """Puts in what `$var`, `$zeros` and `$like` stand for."""
        match json:
            case {"$var": name}:
                return self.kept[name]
            case {"$zeros": length}:
                return {"utf8": "0" * length}
            case {"$like": name, **fields}:
                return self.values[name] | self.resolve(fields)
            case dict():
                return {name: self.resolve(value) for name, value in json.items()}
            case list():
                return [self.resolve(item) for item in json]
            case _:
                return json


def matches(pattern: Any, answer: Any) -> bool:
    """Whether an answer is what a pattern asks for: an object may have more fields,
    and `"$any"` stands for anything."""
    if pattern == "$any":
        return True
    if isinstance(pattern, dict) and isinstance(answer, dict):
        return all(k in answer and matches(v, answer[k]) for k, v in pattern.items())
    if isinstance(pattern, list) and isinstance(answer, list):
        return len(pattern) == len(answer) and all(map(matches, pattern, answer))
    return type(pattern) is type(answer) and pattern == answer
