"""The card that goes with a version to a hub: Markdown, begun by a block of YAML for machines."""

import re

from vsat.bundle import Manifest

RULE = "---\n"  # above and below the block of YAML

# Licences by the names that hubs know them under; any other is said in words.
HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "isc", "unlicense", "cc0-1.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0",
}  # fmt: skip

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # what YAML takes for text without quotes
_ON_HUB = re.compile(r"hf:([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)")


def hub_card(manifest: Manifest, own: str = "") -> str:
    """The text of a version's card on a hub.

    Args:
        manifest: of the version.
        own: the card that the version has. It is kept word for word, below the block of YAML; one
            that has such a block itself is kept as it is.
    """
    if own.startswith(RULE):
        return own
    return front_matter(manifest) + (own or _body(manifest))


def split_card(card: str) -> tuple[str, str]:
    r"""A card's block of YAML, without its rules, and the text below; empty where it has none.

    >>> split_card("---\nlicense: mit\n---\n# Name\n")
    ('license: mit', '# Name\n')
    """
    if not card.startswith(RULE):
        return "", card
    block, end, text = card[len(RULE) - 1 :].partition("\n" + RULE)
    return (block.strip("\n"), text) if end else ("", card)


def front_matter(manifest: Manifest) -> str:
    """The block of YAML, of plain words only: nothing in it can be taken for anything else."""
    tags = ["speech-separation", "audio-source-separation", "onnx"]
    if manifest.architecture:
        tags.append(manifest.architecture.name)
    lines = [
        *_licence_lines(manifest.licence),
        "library_name: vsat",
        "pipeline_tag: audio-to-audio",
        *_base_lines(manifest),
        "tags:",
        *(f"- {tag}" for tag in tags),
    ]
    return RULE + "".join(f"{line}\n" for line in lines) + RULE


def _licence_lines(licence: str | None) -> list[str]:
    if not licence:
        return []
    if licence.lower() in HUB_LICENCES:
        return [f"license: {licence.lower()}"]
    named = [f"license_name: x-{licence.lower()}"] if _PLAIN.fullmatch(licence) else []
    return ["license: other", *named]


def _base_lines(manifest: Manifest) -> list[str]:
    origin = _origin(manifest)
    return [f"base_model: {origin}"] if origin else []


def _origin(manifest: Manifest) -> str:
    """The repository that the version was pulled from, ORG/NAME, or nothing."""
    where = manifest.metadata.get("origin")
    named = where.get("hub") if isinstance(where, dict) else None
    found = _ON_HUB.fullmatch(named) if isinstance(named, str) else None
    return found[1] if found else ""


def _body(manifest: Manifest) -> str:
    parts = [
        f"# {manifest.id}\n",
        f"{manifest.description}\n" if manifest.description else "",
        _facts(manifest),
        _use(manifest),
        _origins(manifest),
    ]
    return "\n".join(part for part in parts if part)


def _facts(manifest: Manifest) -> str:
    facts = {
        "Voices": manifest.sources,
        "Sample rate": f"{manifest.sample_rate} Hz",
        "Architecture": manifest.architecture.name if manifest.architecture else "an ONNX graph",
        "Licence": manifest.licence or "not stated",
        "Version": f"{manifest.id}@{manifest.version}",
        "Content": f"`{manifest.digest}`",
    }
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _use(manifest: Manifest) -> str:
    return (
        "## Use\n\n"
        "With vsat, where ORG/NAME is this repository:\n\n"
        f"    vsat pull hf:ORG/NAME --as {manifest.id}\n"
        f"    vsat separate --model {manifest.id} recording.flac\n\n"
        "`model.onnx` takes `mixture` (batch, samples) float32 and gives `estimates` (batch, "
        f"{manifest.sources}, samples), at {manifest.sample_rate} Hz.\n"
    )


def _origins(manifest: Manifest) -> str:
    lineage = manifest.lineage or {}
    said = {
        "Pulled from": _origin(manifest),
        "Tuned from": lineage.get("base"),
        "Content of that": lineage.get("base_digest"),
        "Fingerprint of the data": lineage.get("data_fingerprint"),
        "Seed": lineage.get("seed"),
    }
    lines = [f"- {name}: {value}\n" for name, value in said.items() if value not in (None, "")]
    return "## Where it comes from\n\n" + "".join(lines) if lines else ""
