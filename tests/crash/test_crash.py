"""vsat is killed, or the disk fails, at each system call that changes something: all stays whole.

`python tests/crash/matrix.py` tries the same and prints how many points there were.
"""

import shutil

import pytest
from injection import FAULTS, JOURNALS, Nursery, quick_folder, reason_not_to_run
from scenarios import QUICK, SCENARIOS, Trial, make_sources

REASON = reason_not_to_run()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def folder():
    made = quick_folder()
    make_sources(made / "sources")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module", params=JOURNALS)
def nursery(request, folder):
    forking = Nursery(JOURNALS[request.param], folder)
    yield forking
    forking.close()


def everywhere(nursery, folder, name, fault):
    trial = Trial(nursery, SCENARIOS[name], folder)
    return [problem for point in trial.points for problem in trial.run(point, fault)]


@pytest.mark.parametrize("nursery", ["rollback"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", QUICK)
def test_registering_and_deleting_survive_every_call(nursery, folder, name, fault):
    assert everywhere(nursery, folder, name, fault) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_command_survives_every_call(nursery, folder, name, fault):
    assert everywhere(nursery, folder, name, fault) == []


def test_what_changes_is_found(nursery, folder):
    names = {point.name for point in Trial(nursery, SCENARIOS["register"], folder).points}
    assert {"fsync", "fdatasync", "pwrite64", "write"} <= names  # it has not missed the database
    assert names & {"mkdir", "mkdirat"}
    assert names & {"rename", "renameat", "renameat2"}
