"""Forks a child for each run of vsat, so that none has to load Python and vsat again.

    python nursery.py SQLITE_VERSION

Reads requests, a line of JSON each, and answers with lines of JSON. A child that is to wait does so
until the line "go" comes, so that a tracer can get hold of it first.
"""

import ctypes
import gc
import importlib
import json
import os
import sqlite3
import sys
from pathlib import Path

LOADED_BEFORE = ("shutil", "tempfile", "tarfile", "logging", "hashlib", "vsat.registry.upkeep")
sys.dont_write_bytecode = True  # a module's first import would rename one call more than the next
PR_SET_PTRACER = 0x59616D61
ANYBODY = ctypes.c_ulong(-1)


def run_vsat(arguments):
    from vsat.cli import main

    code = main(arguments)
    sys.stdout.flush()
    gc.collect()  # closes the connections, as the end of a process does
    return code


def print_state(home):
    """Print what the registry holds, read without letting anything in or mending anything."""
    from vsat.errors import VsatError

    nothing = {key: [] for key in ("orphans", "damage", "models", "versions", "history")}
    try:
        if (Path(home) / "registry.db").exists():
            state = state_of(Path(home))
        else:  # to look for it would make one
            lost = any(Path(home).glob("models/*/[0-9]*"))
            state = {"integrity": ["gone" if lost else "ok"], **nothing}
    except VsatError as error:
        state = {"integrity": [error.message], **nothing}
    print(json.dumps(state), flush=True)
    return 0


def state_of(home):
    from vsat.registry.store import Store
    from vsat.registry.verification import Verification

    store = Store(home / "registry.db", lambda: "")
    state = {
        "integrity": [row[0] for row in store.rows("PRAGMA integrity_check")],
        "orphans": store.rows("PRAGMA foreign_key_check"),
        "damage": Verification(store, home / "models").run(None, None),
        "models": store.rows(
            "SELECT model_id, current_version, versions_count, last_version FROM models"
            " ORDER BY model_id"
        ),
        "versions": store.rows(
            "SELECT model_id, version, digest FROM versions JOIN models USING (model_key)"
            " ORDER BY model_id, version"
        ),
        "history": store.rows(
            "SELECT model_id, action, version, previous, current FROM history"
            " JOIN models USING (model_key) ORDER BY event"
        ),
    }
    store.close()
    return state


def live(request, gate, arrived):
    descriptor = os.open(request["output"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if request["waits"]:
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
        os.write(arrived, b"1")  # the tracer counts calls from here on
        os.read(gate, 1)
    what = {"vsat": run_vsat, "state": print_state}[request["what"]]
    return what(request["with"])


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main():
    sqlite3.sqlite_version_info = tuple(map(int, sys.argv[1].split(".")))
    from vsat.cli.application import COMMANDS

    for name in (*LOADED_BEFORE, *(f"vsat.cli.{module}" for module in COMMANDS.values())):
        importlib.import_module(name)
    from vsat.engines import self_test

    self_test.check = lambda bundle: None  # its graphs are no graphs
    answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        gate, opener = os.pipe()
        arrival, arrived = os.pipe()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = live(request, gate, arrived)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(arrived)
        if request["waits"]:
            os.read(arrival, 1)
            answer(child)
            sys.stdin.readline()
            os.write(opener, b"1")
        for end in (gate, opener, arrival):
            os.close(end)
        answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
