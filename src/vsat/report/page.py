"""Puts a report together: one HTML file without anything outside it.

The page takes all that it shows from blocks of JSON, and makes text of it, never HTML. Its policy
(Content-Security-Policy) admits this one script and this one style sheet by their digests, and no
connection at all: a name in a recording's folder can neither run nor fetch anything.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from string import Template
from typing import IO, Any

from vsat.errors import UsageError
from vsat.files import replace_atomically
from vsat.report.choices import FORMAT
from vsat.report.contents import Comparison, Report, ReportFile, page_name
from vsat.report.measures import describe
from vsat.report.tracks import audio_of

LISTENED_FILES = 40  # with audio at most: more would make a page that browsers open slowly
SCRIPTS = (  # in this order: each uses only what stands before it
    "elements.js", "statistics.js", "plots.js", "spectrogram.js", "recording.js", "player.js",
    "lanes.js", "summary.js", "files.js", "blind.js", "main.js",
)  # fmt: skip
AUDIO_MARK = "$audio"  # where the template has the blocks of audio


def write_report(path: Path, report: Report, files: Iterable[ReportFile]) -> Path:
    """Write a report; it is there whole or not at all.

    Args:
        path: the HTML file.
        report: what it says.
        files: the audio, taken one recording at a time. Of more than `LISTENED_FILES` recordings
            those are kept whose differences spread evenly from the lowest to the highest. Files of
            the scores that do not come are listed without audio.

    Raises:
        UsageError: a recording comes that is not in the scores, or twice, or without a version.
        StorageError: the file can't be written.
    """
    head, tail = _text("report.html").split(AUDIO_MARK)
    style, script = _text("report.css"), "\n".join(map(_text, SCRIPTS))
    values = {
        "title": html.escape(report.title),
        "policy": html.escape(_policy(style, script)),
        "style": style,
        "script": script,
    }
    with (
        replace_atomically(path) as staged,
        open(staged, "w", encoding="utf-8", newline="\n") as page,
    ):
        page.write(Template(head).substitute(values))
        heard = _write_audio(page, report, files)
        values["report"] = embedded(_content(report, heard))
        page.write(Template(tail).substitute(values))
    return path


def embedded(value: object) -> str:
    r"""JSON that can stand in an HTML script element, whatever texts it holds.

    >>> embedded({"name": "</script>"})
    '{"name":"\\u003c/script>"}'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _text(name: str) -> str:
    return (resources.files("vsat.report") / "page" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy."""
    rules = {
        "default-src": "'none'",
        "script-src": _source(script),
        "style-src": _source(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _source(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _write_audio(
    page: IO[str], report: Report, files: Iterable[ReportFile]
) -> dict[str, dict[str, Any]]:
    """Write a block for each recording; return what the list of files says of it."""
    listened = _listened(report)
    heard: dict[str, dict[str, Any]] = {}

    def of(file: ReportFile) -> tuple[str, dict[str, Any]]:
        _check(file, report)
        if file.name in listened:
            return file.name, audio_of(file, report.versions)
        return file.name, {"seconds": len(file.mixture) / file.sample_rate}

    for name, audio in map(of, files):  # map lets go of a recording before it takes the next
        if name in heard:
            raise UsageError(f"{name} comes twice.", hint="Give each recording once.")
        heard[name] = {key: audio[key] for key in ("seconds", "begin", "end") if key in audio}
        if "tracks" in audio:
            block = heard[name]["block"] = f"audio-{len(heard)}"
            page.write(f'<script type="application/json" id="{block}">{embedded(audio)}</script>\n')
    return heard


def _check(file: ReportFile, report: Report) -> None:
    if file.name not in report.scores:
        raise UsageError(f"{file.name} has no scores.", hint="Give a file of the report's scores.")
    if missing := set(report.versions) - set(file.estimates):
        raise UsageError(
            f"{file.name} comes without the voices of {min(missing)}.",
            hint="Give estimates of each version of the report.",
        )


def _listened(report: Report) -> set[str]:
    """Names of the files that get audio."""
    names = list(report.scores)
    if len(names) <= LISTENED_FILES:
        return set(names)
    if report.comparisons:
        names.sort(key=lambda name: _difference(report, report.comparisons[0], name))
    last = len(names) - 1
    return {names[round(index * last / (LISTENED_FILES - 1))] for index in range(LISTENED_FILES)}


def _difference(report: Report, comparison: Comparison, name: str) -> float:
    """Candidate less baseline in the measure that decides; zero where there is none."""
    scores = report.scores[name]
    both = [
        scores.get(label, {}).get(comparison.measure, math.nan)
        for label in (comparison.candidate, comparison.baseline)
    ]
    difference = both[0] - both[1]
    return difference if math.isfinite(difference) else 0.0


def _content(report: Report, heard: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All but the audio, as JSON values."""
    keys = _measure_keys(report)
    return {
        "title": report.title,
        "testSet": page_name(report.test_set),
        "testSetDigest": report.test_set_digest,
        "choicesFormat": FORMAT,
        "versions": list(report.versions),
        "facts": [[key, value] for key, value in report.facts.items()],
        "measures": [_camel(asdict(describe(key))) for key in keys],
        "comparisons": [_plain_comparison(one) for one in report.comparisons],
        "files": [
            {
                "name": page_name(name),
                "scores": [
                    [_finite(by_version.get(label, {}).get(key)) for key in keys]
                    for label in report.versions
                ],
                **heard.get(name, {}),
            }
            for name, by_version in report.scores.items()
        ],
    }


def _measure_keys(report: Report) -> list[str]:
    """Measures in the order in which they first come; the one that decides stands first."""
    found = [one.measure for one in report.comparisons[:1]]
    for by_version in report.scores.values():
        for values in by_version.values():
            found += values
    return list(dict.fromkeys(found))


def _plain_comparison(comparison: Comparison) -> dict[str, Any]:
    plain = _camel(asdict(comparison))
    plain["differences"] = [
        {name: _finite(value) if isinstance(value, float) else value for name, value in one.items()}
        for one in (_camel(asdict(difference)) for difference in comparison.differences)
    ]
    return plain


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    """Names as JavaScript has them."""
    return {_camel_name(name): value for name, value in fields.items()}


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
