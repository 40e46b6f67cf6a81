"""After a power loss only what was synced is there: all that a record names is, before the record.

A kill leaves everything that was written. So the calls of a whole run are followed instead: what a
call changes is not durable until the file or the folder is synced.
"""

import posixpath
import re
import shutil

import pytest
from injection import JOURNALS, Nursery, quick_folder, reason_not_to_run
from scenarios import SCENARIOS, Trial, make_sources

from vsat.files import STAGING_PREFIX

REASON = reason_not_to_run()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

_OPEN_FILE = re.compile(r"\(\d+<([^>]*)>")
_QUOTED = re.compile(r'(?:\d+<([^>]*)>, |AT_FDCWD<[^>]*>, )?"([^"]*)"')


def _is_unfinished(path):
    """Whether a name says so; one that a power loss brings back does no harm."""
    return posixpath.basename(path).startswith(STAGING_PREFIX)


class Disk:
    """What was changed and is not yet durable."""

    def __init__(self):
        self.pending = set()

    def follow(self, point):
        if " = -1 " in point.line:
            return
        if point.name in ("fsync", "fdatasync"):
            self.pending.discard(_OPEN_FILE.search(point.line)[1])
        elif point.name in ("write", "pwrite64", "ftruncate"):
            self.pending.add(_OPEN_FILE.search(point.line)[1])
        elif not point.name.endswith(("chmod", "chmodat")):
            self._names(point, [posixpath.join(*found) for found in _QUOTED.findall(point.line)])

    def _names(self, point, paths):
        changed = paths[1:] if point.name.startswith("link") else paths
        removes = point.name in ("unlink", "unlinkat", "rmdir")
        if not (removes and all(map(_is_unfinished, changed))):
            self.pending |= {posixpath.dirname(path) or "PLACE" for path in changed}
        if point.name.startswith("rename"):
            old, new = paths
            self.pending = {new + p[len(old) :] if p.startswith(old) else p for p in self.pending}
        elif removes:
            self.pending -= set(paths)

    def of_versions(self):
        return {path for path in self.pending if path.startswith(("HOME/models", "PLACE"))}


@pytest.fixture
def folder():
    made = quick_folder()
    make_sources(made / "sources")
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("name", ["register the first", "register", "register a bundle"])
def test_a_version_is_durable_before_its_record_is(folder, journal, name):
    nursery = Nursery(JOURNALS[journal], folder)
    points = Trial(nursery, SCENARIOS[name], folder).points
    nursery.close()
    commit = max(
        number
        for number, point in enumerate(points)
        if point.name in ("fsync", "fdatasync") and "HOME/registry.db" in point.line
    )
    disk = Disk()
    for point in points[:commit]:
        disk.follow(point)
    assert disk.of_versions() == set()
    for point in points[commit:]:
        disk.follow(point)
    assert {path for path in disk.pending if path.startswith("HOME")} <= {"HOME"}


def test_what_is_not_synced_is_seen(folder):
    nursery = Nursery(JOURNALS["rollback"], folder)
    points = Trial(nursery, SCENARIOS["register"], folder).points
    nursery.close()
    syncs = [p for p in points if p.name == "fsync" and "HOME/models" in p.line]
    assert len(syncs) >= 4  # the file, the manifest, their folder, the model's
    for left_out in syncs:
        disk = Disk()
        for point in points:
            if point != left_out:
                disk.follow(point)
        assert disk.of_versions()
