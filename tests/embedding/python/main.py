"""A session in a file, by the component alone; or the shared scenarios."""

import json
import sys
from pathlib import Path

import conformance
import values
from database import Database, Runtime
from scenario import Run

ROOT = Path(__file__).parents[3]
COMPONENT = ROOT / "engine/component/lash_store.wasm"
TOOLS = ROOT / "engine/component/lash_store_tools.wasm"
CONFORMANCE = ROOT / "target/components/conformance.wasm"


def demonstrate(runtime: Runtime, path: Path) -> None:
    """Adds a message to the session in this file, and reads the session back."""
    database = Database.open(runtime, path, "session")
    head = database.call("session.load-head")["ok"] or {}
    number = head.get("node-count", 0)
    node = {
        "id": f"message-{number}",
        "parent": head.get("leaf"),
        "prompt": True,
        "body": {"utf8": f"hello, component ({number})"},
    }
    request = {
        "session-id": "hello",
        "expected-revision": head.get("revision"),
        "head": {"content": {"utf8": "the head"}, "blobs": [], "retained": []},
        "graph": {"append": [node]},
        "leaf": node["id"],
        "checkpoint": {
            "turn-state": {"utf8": "the turn"},
            "tool-state": None,
            "plugin-snapshot": None,
            "plugin-snapshot-revision": None,
            "execution-state": None,
        },
        "usage": [],
        "turn": None,
        "completions": [],
        "attachment-ids": [],
        "profile": "balanced",
    }
    receipt = database.call("session.commit", request)["ok"]["committed"]
    print(f"committed revision {receipt['revision']}")
    # Newest first; what does not fit into one page comes by `session.load-nodes`.
    nodes = database.call("session.load", "full")["ok"]["nodes"]
    for body in values.split(nodes["bodies"]):
        print(f"  {body.decode()}")


def scenarios(runtime: Runtime, path: str, directory: str) -> None:
    """Runs all scenarios of a list, each on a new file."""
    listed = json.loads(Path(path).read_text())
    failed = 0
    for number, scenario in enumerate(listed["scenarios"]):
        file = Path(directory) / f"{number}.db"
        try:
            Run(runtime, scenario, listed["values"], file).run()
            print(f"ok      {scenario['name']}")
        except Exception as error:
            failed += 1
            notes = " ".join(getattr(error, "__notes__", []))
            print(f"FAILED  {scenario['name']}: {error!r} {notes}")
    if failed:
        sys.exit(f"{failed} failed")


def conform(directory: Path) -> None:
    """Checks this host by the component that does."""
    runtime = Runtime(CONFORMANCE)
    failed = 0
    for number, rule in enumerate(conformance.rules(runtime, directory)):
        wrong = conformance.check(runtime, rule, directory / f"{number}.db")
        print(f"FAILED  {rule.name}: {wrong}" if wrong else f"ok      {rule.name}")
        failed += wrong is not None
    if failed:
        sys.exit(f"{failed} failed")


def main() -> None:
    runtime = Runtime(COMPONENT, TOOLS)
    match sys.argv[1:]:
        case ["conformance", directory]:
            conform(Path(directory))
        case ["scenarios", path, directory]:
            scenarios(runtime, path, directory)
        case ["file", path, file]:
            listed = json.loads(Path(path).read_text())
            Run(runtime, listed, {}, Path(file)).run()
        case [path]:
            demonstrate(runtime, Path(path))
        case _:
            sys.exit(
                "usage: PATH | scenarios LIST DIRECTORY | file LIST PATH"
                " | conformance DIRECTORY"
            )


if __name__ == "__main__":
    main()
