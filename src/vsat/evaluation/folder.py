"""Examples in a folder, by the layouts that people and corpora use."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vsat.audio.io import open_recording
from vsat.errors import AudioError, UsageError
from vsat.evaluation.example import Example, Part

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64", ".caf"}
VOICE_FOLDER = re.compile(r"s[1-9]\d?")
MIXTURE_FOLDERS = ("mix", "mix_clean", "mix_single", "mix_both", "mixture", "mixtures")
NAMED_VOICE = re.compile(r"(?P<stem>.+)\.s[1-9]\d?")
SHORTEST_S, LONGEST_S = 2.0, 10.0  # of a stretch of a single voice that is mixed
SPREAD_DB = 5.0  # a voice is at most so much above or below the others
HINT = (
    "Name the voices of talk.wav talk.s1.wav and talk.s2.wav, or put mixtures into mix/ and voices"
    " of the same names into s1/, s2/."
)


def find_examples(folder: Path) -> list[Example]:
    """Recordings in a folder, with their references where there are some.

    The layouts: `mix/` (or `mix_clean/`, `mix_both/`, ...) beside `s1/`, `s2/`, ... with the same
    file names, as in Libri2Mix and WHAM!; or `talk.wav` beside `talk.s1.wav`, `talk.s2.wav`; or
    recordings alone.

    Raises:
        UsageError: there is no recording, or the layout is ambiguous or incomplete.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", hint="Check the path.")
    voices = sorted(filter(_is_voice_folder, folder.iterdir()), key=_by_number)
    found = _in_folders(folder, voices) if voices else _by_name(folder)
    if not found:
        raise UsageError(f"{folder} holds no recordings.", hint=HINT)
    return found


def find_voices(folder: Path, count: int, seed: int, n_voices: int = 2) -> list[Example]:
    """Mixtures of single voices, the same for the same folder, count and seed.

    Each folder within is a speaker; where there is none, each file is. The voices of a mixture
    begin at random places, and are within 5 dB of each other's level.

    Args:
        folder: with recordings of one voice each.
        count: of the mixtures.
        seed: of the draw.
        n_voices: in a mixture.

    Raises:
        UsageError: there are fewer speakers than voices in a mixture.
        AudioError: a file can't be read.
    """
    speakers = _speakers(folder)
    if len(speakers) < n_voices:
        raise UsageError(
            f"{folder} holds recordings of {len(speakers)} speakers; {n_voices} are needed.",
            hint="Put a folder for each speaker into it, or a file for each.",
        )
    random = np.random.default_rng(seed)
    names = sorted(speakers)
    return [
        _draw(random, [speakers[names[i]] for i in random.permutation(len(names))[:n_voices]], n)
        for n in range(1, count + 1)
    ]


def given_examples(
    files: Sequence[str | Path], references: Sequence[Sequence[str | Path]] | None
) -> list[Example]:
    """Examples from paths: of recordings, each with the paths of its references if there are some.

    Without references, those beside a recording are taken (`talk.s1.wav` of `talk.wav`, or
    `s1/talk.wav` of `mix/talk.wav`).

    Raises:
        UsageError: there is not a list of references for each file, or no file.
    """
    if not files:
        raise UsageError("There is nothing to evaluate on.", hint="Name a recording.")
    if references is not None and len(references) != len(files):
        raise UsageError(
            f"{len(files)} recordings and references of {len(references)} don't fit.",
            hint="Give a list of references for each recording, in the same order.",
        )
    paths = [Path(file) for file in files]
    given = references if references is not None else [_beside(path) for path in paths]
    return [
        Example(str(path), path, tuple(map(Path, its)))
        for path, its in zip(paths, given, strict=True)
    ]


def _is_voice_folder(path: Path) -> bool:
    return path.is_dir() and VOICE_FOLDER.fullmatch(path.name) is not None


def _in_folders(folder: Path, voices: Sequence[Path]) -> list[Example]:
    mixtures = [folder / name for name in MIXTURE_FOLDERS if (folder / name).is_dir()]
    if len(mixtures) != 1:
        names = ", ".join(f"{path.name}/" for path in mixtures) or "none"
        raise UsageError(
            f"{folder} has {', '.join(f'{path.name}/' for path in voices)}, and of folders with"
            f" mixtures: {names}.",
            hint="Keep the one that counts beside them, as mix/.",
        )
    return [
        Example(path.stem, path, tuple(_of_same_name(path, voice) for voice in voices))
        for path in _recordings(mixtures[0])
    ]


def _of_same_name(mixture: Path, voice_folder: Path) -> Path:
    for path in (voice_folder / mixture.name, *sorted(voice_folder.glob(f"{mixture.stem}.*"))):
        if path.is_file():
            return path
    raise UsageError(
        f"{voice_folder} has no voice of {mixture.name}.",
        hint="References have the name of their mixture.",
    )


def _by_name(folder: Path) -> list[Example]:
    recordings = _recordings(folder)
    return [
        Example(path.stem, path, _beside(path))
        for path in recordings
        if not _is_reference(path, recordings)
    ]


def _is_reference(path: Path, recordings: Sequence[Path]) -> bool:
    match = NAMED_VOICE.fullmatch(path.stem)
    return match is not None and any(other.stem == match["stem"] for other in recordings)


def _beside(path: Path) -> tuple[Path, ...]:
    """The references of a recording that lie beside it, in the order of their numbers."""
    if not path.parent.is_dir():
        return ()
    if path.parent.name in MIXTURE_FOLDERS:
        folders = sorted(filter(_is_voice_folder, path.parent.parent.iterdir()), key=_by_number)
        return tuple(_of_same_name(path, folder) for folder in folders)
    voices = [
        other
        for other in _recordings(path.parent)
        if (match := NAMED_VOICE.fullmatch(other.stem)) and match["stem"] == path.stem
    ]
    return tuple(sorted(voices, key=lambda other: (len(other.stem), other.stem)))


def _by_number(path: Path) -> tuple[int, str]:
    return len(path.name), path.name


def _recordings(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES
    )


def _speakers(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", hint="Check the path.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            continue
        if open_recording(path).seconds < SHORTEST_S:
            continue
        relative = path.relative_to(folder)
        speaker = relative.parts[0] if len(relative.parts) > 1 else path.stem
        found.setdefault(speaker, []).append(path)
    return found


def _draw(random: np.random.Generator, speakers: Sequence[list[Path]], number: int) -> Example:
    paths = [files[int(random.integers(len(files)))] for files in speakers]
    lengths = [open_recording(path).seconds for path in paths]
    length_s = round(min(LONGEST_S, *lengths), 3)
    if length_s < SHORTEST_S:
        raise AudioError("A voice became shorter meanwhile.", hint="Pin the test set again.")
    parts = tuple(
        Part(
            path,
            round(float(random.uniform(0, max(0.0, seconds - length_s))), 3),
            round(float(random.uniform(-SPREAD_DB / 2, SPREAD_DB / 2)), 2),
        )
        for path, seconds in zip(paths, lengths, strict=True)
    )
    return Example(f"mix{number:04d}", None, parts=parts, length_s=length_s)
