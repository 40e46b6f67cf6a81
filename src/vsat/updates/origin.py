"""Where on a hub a version comes from: `hf:ORG/NAME[@REVISION]`, and the commit that it was."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsat.errors import UsageError

SCHEME = "hf:"
MAIN = "main"  # the branch that is meant where no revision is named
METADATA_KEY = "origin"

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY = re.compile(f"{_NAME}/{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")  # a branch, a tag or a commit
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubReference:
    """A repository on a hub, and what is asked for of it.

    Attributes:
        repository: ORG/NAME.
        revision: a branch, a tag or a commit.
    """

    repository: str
    revision: str = MAIN

    def __str__(self) -> str:
        return f"{SCHEME}{self.repository}" + f"@{self.revision}" * (self.revision != MAIN)

    @property
    def is_fixed(self) -> bool:
        """Whether it names a commit, which never becomes another."""
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True)
class HubOrigin:
    """Which commit of a repository a version was made from."""

    reference: HubReference
    commit: str

    def as_metadata(self) -> dict[str, Any]:
        """What the version's metadata remembers.

        >>> HubOrigin(HubReference("org/name"), "0" * 40).as_metadata()["origin"]["hub"]
        'hf:org/name'
        """
        where = {
            "hub": f"{SCHEME}{self.reference.repository}",
            "revision": self.reference.revision,
            "commit": self.commit,
        }
        return {METADATA_KEY: where}


def parse_hub_reference(text: str) -> HubReference:
    """Read `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`.

    >>> parse_hub_reference("hf:org/name@v1.0")
    HubReference(repository='org/name', revision='v1.0')

    Raises:
        UsageError: it is neither.
    """
    hint = "Write hf:ORG/NAME, or hf:ORG/NAME@REVISION for a branch, a tag or a commit."
    if not text.startswith(SCHEME):
        raise UsageError(f"{text[:200]!a} is not a repository on a hub.", hint=hint)
    repository, at, revision = text.removeprefix(SCHEME).partition("@")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository[:200]!a} is not the name of a repository.", hint=hint)
    if at and not _is_revision(revision):
        raise UsageError(f"{revision[:200]!a} is not the name of a revision.", hint=hint)
    return HubReference(repository, revision or MAIN)


def origin_in(metadata: Mapping[str, Any]) -> HubOrigin | None:
    """Where a version's metadata says that it comes from; None if from no hub."""
    where = metadata.get(METADATA_KEY)
    if not isinstance(where, Mapping):
        return None
    hub, revision, commit = (where.get(key) for key in ("hub", "revision", "commit"))
    if not (isinstance(hub, str) and isinstance(revision, str) and isinstance(commit, str)):
        return None
    try:
        return HubOrigin(parse_hub_reference(f"{hub}@{revision}"), commit)
    except UsageError:
        return None


def _is_revision(text: str) -> bool:
    # The hub's client looks a revision up as a path in its cache.
    return _REVISION.fullmatch(text) is not None and ".." not in text
