"""A model out of a hub's repository, from a server on this machine; and all that goes wrong."""

import hashlib
import os

import pytest

pytest.importorskip("huggingface_hub")

from hub_server import LARGE_BYTES, TOKEN, running_hub
from huggingface_hub import close_session, constants

from vsat.errors import Cancelled, DamagedError, HubError, StorageError, UsageError
from vsat.progress import Cancel, stoppable
from vsat.updates.hub import fetch_from_hub, newer_commit
from vsat.updates.origin import HubOrigin, HubReference

WEIGHTS = bytes(range(256)) * 100
CONFIG = b'{"num_blocks": 8}'
FILES = {
    "README.md": b"# Card\n",
    "config.json": CONFIG,
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle" * 5000,
    ".gitattributes": b"*",
    "audio/example.wav": b"RIFF" * 5000,
}
WANTED = {"README.md", "config.json", "model.safetensors"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub, and this process's huggingface_hub pointed at it with an empty cache."""
    with running_hub() as running:
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # it would ask for more
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        yield running
        close_session()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(hub, folder, reference="hf:org/name", *, match):
    with pytest.raises(HubError, match=match) as refusal:
        fetch_from_hub(reference, folder)
    assert refusal.value.hint
    assert refusal.value.message.endswith(".")
    assert TOKEN not in str(refusal.value)
    assert not folder.exists()
    return refusal.value


def test_the_files_of_one_model_are_fetched_and_no_others(hub, folder):
    commit = hub.add("org/name", FILES)
    snapshot = fetch_from_hub("hf:org/name", folder)
    assert contents(folder) == {name: FILES[name] for name in WANTED}
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert snapshot.origin == HubOrigin(HubReference("org/name"), commit)
    assert snapshot.origin.as_metadata() == {
        "origin": {"hub": "hf:org/name", "revision": "main", "commit": commit}
    }
    assert snapshot.files["model.safetensors"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert not snapshot.from_cache
    assert hub.n_asked("pytorch_model") == 0


@pytest.mark.parametrize("kind", ["tag", "commit", "branch"])
def test_a_revision_is_fetched_as_it_was(hub, folder, kind):
    old = hub.add("org/name", {**FILES, "config.json": b"{}"})
    hub.repositories["org/name"].refs |= {"v1.0": old, "feature/one": old}
    hub.add("org/name", FILES)
    revision = {"tag": "v1.0", "commit": old, "branch": "feature/one"}[kind]
    snapshot = fetch_from_hub(f"hf:org/name@{revision}", folder)
    assert contents(folder)["config.json"] == b"{}"
    assert snapshot.origin.commit == old
    assert snapshot.origin.reference.revision == revision


def test_progress_goes_up_to_all_bytes(hub, folder):
    hub.add("org/name", FILES)
    seen = []
    fetch_from_hub("hf:org/name", folder, progress=lambda done, total: seen.append((done, total)))
    total = sum(len(FILES[name]) for name in WANTED)
    assert {of for _, of in seen} == {total}
    counts = [done for done, _ in seen]
    assert counts == sorted(counts)
    assert counts[-1] == total


def test_the_person_may_stop_it(hub, folder):
    hub.add("org/name", FILES)
    cancel = Cancel()
    cancel.ask()
    with pytest.raises(Cancelled):
        fetch_from_hub("hf:org/name", folder, progress=stoppable(lambda *_: None, cancel))


def test_the_second_time_comes_from_the_cache(hub, folder, tmp_path):
    hub.add("org/name", FILES)
    fetch_from_hub("hf:org/name", folder)
    asked = hub.n_asked("/resolve/")
    again = fetch_from_hub("hf:org/name", tmp_path / "again")
    assert hub.n_asked("/resolve/") == asked
    assert contents(tmp_path / "again") == contents(folder)
    assert not again.from_cache


def test_offline_what_is_in_the_cache_is_taken(hub, folder, tmp_path, monkeypatch):
    commit = hub.add("org/name", FILES)
    fetch_from_hub("hf:org/name", folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    again = fetch_from_hub("hf:org/name", tmp_path / "again")
    assert again.from_cache
    assert again.origin.commit == commit
    assert contents(tmp_path / "again") == contents(folder)
    assert len(hub.requests) == asked
    refused(hub, tmp_path / "other", "hf:org/other", match="offline")
    refused(hub, tmp_path / "other", "hf:org/name@v2", match="offline")


def test_without_a_network_what_is_in_the_cache_is_taken(hub, folder, tmp_path, monkeypatch):
    hub.add("org/name", FILES)
    fetch_from_hub("hf:org/name", folder)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert fetch_from_hub("hf:org/name", tmp_path / "again").from_cache
    refused(hub, tmp_path / "other", "hf:org/other", match="can't be reached")


def test_a_body_that_ends_early_is_asked_for_again(hub, folder):
    hub.add("org/name", FILES)
    hub.cut_after = len(WEIGHTS) // 2
    fetch_from_hub("hf:org/name", folder)
    assert contents(folder)["model.safetensors"] == WEIGHTS
    assert hub.n_asked("/content/") == 2


def test_content_that_is_not_what_was_listed_is_refused(hub, folder):
    hub.add("org/name", FILES)
    hub.lying["model.safetensors"] = bytes(len(WEIGHTS))
    with pytest.raises(DamagedError, match="not what the hub says") as refusal:
        fetch_from_hub("hf:org/name", folder)
    assert "cache" in refusal.value.hint


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, folder, monkeypatch, caplog, capfd):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.add("org/name", FILES, private=True)
    with caplog.at_level("DEBUG"):
        fetch_from_hub("hf:org/name", folder)
    sent = {
        host: {key.lower(): value for key, value in headers.items()}.get("authorization")
        for _, host, _, headers in hub.requests
    }
    assert sent == {"127.0.0.1": f"Bearer {TOKEN}", "localhost": None}
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capfd.readouterr())


def test_a_private_repository_is_not_to_be_seen_without_the_token(hub, folder):
    hub.add("org/name", FILES, private=True)
    error = refused(hub, folder, match="no repository org/name, or it is private")
    assert "hf auth login" in error.hint


def test_a_wrong_token_is_not_repeated(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN + "x")
    hub.add("org/name", FILES, private=True)
    refused(hub, folder, match="private")


def test_a_gated_repository_says_what_to_do(hub, folder):
    hub.add("org/name", FILES, gated=True)
    with pytest.raises(HubError, match="accepted its terms"):
        fetch_from_hub("hf:org/name", folder)


def test_a_moved_repository_is_not_followed(hub, folder):
    hub.add("org/name", FILES, moved_to="other/name")
    hub.add("other/name", FILES)
    error = refused(hub, folder, match="has moved: it is other/name")
    assert "vsat pull hf:other/name" in error.hint


def test_an_unknown_revision_is_said(hub, folder):
    hub.add("org/name", FILES)
    refused(hub, folder, "hf:org/name@v9", match="no revision v9")


def test_an_unknown_commit_is_said(hub, folder):
    hub.add("org/name", FILES)
    refused(hub, folder, f"hf:org/name@{'0' * 40}", match="no revision 0000")


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "doesn't let you"), (404, "doesn't have"), (410, "doesn't have")]
    + [(status, f"status {status}") for status in (429, 500, 503)],
)
def test_other_refusals_say_what_they_mean_or_their_status(hub, folder, status, said):
    hub.add("org/name", FILES)
    hub.failing = status
    refused(hub, folder, match=said)


def test_what_is_no_hub_is_found_out(hub, folder):
    hub.garbage = True
    refused(hub, folder, match="doesn't answer as a hub does")


def test_a_repository_without_a_model_leaves_nothing(hub, folder, tmp_path):
    hub.add("org/name", {"README.md": b"# Card", "train.py": b"print()"})
    refused(hub, folder, match="no file that vsat can use.*train.py")
    assert not (tmp_path / "cache").exists()


def test_one_that_is_too_large_is_not_fetched(hub, folder, tmp_path):
    hub.add("org/name", FILES)
    with pytest.raises(HubError, match="too large"):
        fetch_from_hub("hf:org/name", folder, max_bytes=LARGE_BYTES)
    assert not (tmp_path / "cache").exists()
    assert hub.n_asked("/resolve/") == 0


def test_too_little_room_is_said_before(hub, folder, monkeypatch):
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    hub.add("org/name", FILES)
    with pytest.raises(StorageError, match="free"):
        fetch_from_hub("hf:org/name", folder)
    assert hub.n_asked("/resolve/") == 0


@pytest.mark.parametrize(
    "reference",
    [
        "org/name", "hf:", "hf:name", "hf:org/name@", "hf:org/name/more", "hf:../../x", "hf:o/n@..",
        "hf:org/name@../../../etc", "hf:org/na me", "hf:org/\0", "hf:org/name@-x",
        "https://huggingface.co/org/name", "hf:" + "x" * 300 + "/y",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused_before_anyone_is_asked(hub, folder, reference):
    with pytest.raises(UsageError) as refusal:
        fetch_from_hub(reference, folder)
    assert "hf:ORG/NAME" in refusal.value.hint
    assert hub.requests == []


# What comes later.


def test_a_newer_commit_is_seen(hub, folder):
    hub.add("org/name", FILES)
    origin = fetch_from_hub("hf:org/name", folder).origin
    assert newer_commit(origin) is None
    newer = hub.add("org/name", {**FILES, "config.json": b"{}"})
    assert newer_commit(origin) == newer


def test_a_fixed_commit_has_no_newer_one(hub, folder):
    commit = hub.add("org/name", FILES)
    origin = fetch_from_hub(f"hf:org/name@{commit}", folder).origin
    hub.add("org/name", {})
    assert newer_commit(origin) is None


def test_a_question_that_gets_no_answer_is_not_answered(hub, folder, monkeypatch):
    hub.add("org/name", FILES)
    origin = fetch_from_hub("hf:org/name", folder).origin
    hub.failing = 503
    with pytest.raises(HubError, match="503"):
        newer_commit(origin)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError):
        newer_commit(origin)
