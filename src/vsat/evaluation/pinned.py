"""Test sets that stay what they are: a file that changed is noticed by its digest."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsat.errors import AudioError, RegistryError
from vsat.evaluation.example import Example, Part
from vsat.evaluation.folder import find_examples, find_voices, given_examples
from vsat.progress import Progress, silent
from vsat.registry import ModelRegistry

DEFAULT_COUNT = 50  # mixtures made of single voices


@dataclass(frozen=True)
class Pinned:
    """A test set.

    Attributes:
        name: as people call it.
        folder: that it was made of.
        examples: what it consists of.
        digests: of each example, in the same order.
        created_at: when it was pinned.
    """

    name: str
    folder: Path
    examples: tuple[Example, ...]
    digests: tuple[str, ...]
    created_at: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all examples: equal for equal test sets, on any machine."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()

    @property
    def has_references(self) -> bool:
        """Whether the voices of every example are known."""
        return all(example.has_references for example in self.examples)


def pin(
    registry: ModelRegistry,
    name: str,
    folder: Path,
    *,
    voices: bool = False,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress = silent,
) -> Pinned:
    """Make a test set of a folder, and keep the digests of its files.

    Args:
        registry: keeps it.
        name: that it gets.
        folder: with recordings in one of the layouts of `find_examples`, or with single voices.
        voices: whether the folder holds single voices, which are mixed as `find_voices` says.
        count: of the mixtures that are then made.
        seed: of their draw.
        progress: told how many examples have been hashed.

    Raises:
        UsageError: the name can't be had, or the folder holds no usable examples.
        AudioError: a file can't be read.
        StorageError: a file can't be read, or the home not written.
    """
    folder = folder.absolute()
    examples = find_voices(folder, count, seed) if voices else find_examples(folder)
    digests = []
    for number, example in enumerate(examples, start=1):
        digests.append(example.digest())
        progress(number, len(examples))
    made = Pinned(name, folder, tuple(examples), tuple(digests))
    registry.evaluations.pin(name, _document(made))
    return pinned(registry, name)


def pinned(registry: ModelRegistry, name: str) -> Pinned:
    """A test set as it was pinned.

    Raises:
        UsageError: there is none of that name.
    """
    kept = registry.evaluations.test_set(name)
    return _of_document(kept.name, kept.document, kept.created_at)


def all_pinned(registry: ModelRegistry) -> list[Pinned]:
    """Every test set, by name."""
    return [
        _of_document(kept.name, kept.document, kept.created_at)
        for kept in registry.evaluations.test_sets()
    ]


def changed(test_set: Pinned, progress: Progress = silent) -> list[str]:
    """What is no longer as it was pinned, as full sentences; nothing if all is."""
    found = []
    pairs = list(zip(test_set.examples, test_set.digests, strict=True))
    for number, (example, digest) in enumerate(pairs, start=1):
        missing = [path for path in example.paths if not path.is_file()]
        if missing:
            found.append(f"{missing[0]} is gone.")
        elif example.digest() != digest:
            found.append(f"{example.name} is not what it was: {example.paths[0]} or its voices.")
        progress(number, len(pairs))
    return found


def check_unchanged(test_set: Pinned, progress: Progress = silent) -> None:
    """Refuse a test set of which something changed or vanished: scores would not compare.

    Raises:
        AudioError: it did.
    """
    found = changed(test_set, progress)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise AudioError(
            f"The test set {test_set.name} has changed since {test_set.created_at[:10]}:"
            f" {found[0]}{more}",
            hint="Put the files back, or pin it anew: vsat testset rm and vsat testset add.",
        )


def _document(test_set: Pinned) -> dict[str, Any]:
    return {
        "folder": str(test_set.folder),
        "examples": [
            {
                "name": example.name,
                "digest": digest,
                "mixture": str(example.mixture) if example.mixture else None,
                "references": list(map(str, example.references)),
                "parts": [[str(part.path), part.start_s, part.gain_db] for part in example.parts],
                "length_s": example.length_s,
            }
            for example, digest in zip(test_set.examples, test_set.digests, strict=True)
        ],
    }


def _of_document(name: str, document: Mapping[str, Any], created_at: str) -> Pinned:
    try:
        entries = document["examples"]
        return Pinned(
            name,
            Path(document["folder"]),
            tuple(map(_example, entries)),
            tuple(str(entry["digest"]) for entry in entries),
            created_at,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryError(
            f"The registry's record of the test set {name} can't be understood.",
            hint=f"Run: vsat testset rm {name}, and add it again.",
        ) from error


def _example(entry: Mapping[str, Any]) -> Example:
    return Example(
        str(entry["name"]),
        Path(entry["mixture"]) if entry["mixture"] else None,
        tuple(map(Path, entry["references"])),
        tuple(Part(Path(path), float(start), float(gain)) for path, start, gain in entry["parts"]),
        float(entry["length_s"]),
    )


def as_test_set(registry: ModelRegistry, what: str | Path) -> Pinned:
    """A pinned test set by its name, or what a folder holds now.

    Raises:
        UsageError: it is neither.
    """
    folder = Path(what)
    if folder.is_dir():
        return _unpinned(find_examples(folder), str(folder))
    return pinned(registry, str(what))


def of_recordings(
    files: Sequence[str | Path], references: Sequence[Sequence[str | Path]] | None = None
) -> Pinned:
    """Recordings as a test set without a name, as `given_examples` finds them.

    Raises:
        UsageError: references and recordings don't fit.
        StorageError: a file can't be read.
    """
    return _unpinned(given_examples(files, references), "")


def _unpinned(examples: Sequence[Example], name: str) -> Pinned:
    digests = tuple(example.digest() for example in examples)
    return Pinned(name, Path(name), tuple(examples), digests)
