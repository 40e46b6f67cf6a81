"""`vsat models --on NAME`: versions by what they scored on a test set, the best first."""

from typing import TYPE_CHECKING

from vsat.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from vsat.registry import ModelRegistry


def show_ranking(
    registry: "ModelRegistry",
    test_set: str,
    filter_text: str | None,
    *,
    limit: int | None,
    offset: int,
    as_json: bool,
) -> None:
    """Print the versions that have been evaluated on all of a test set, and how many have not.

    Raises:
        UsageError: there is no such test set, or the filter can't be read.
    """
    from vsat.evaluation.ranking import rank

    found = rank(registry, test_set, filter_text)
    end = None if limit is None else offset + limit
    shown = found.ranked[offset:end]
    if as_json:
        rows = [{"model": one.model, found.measure: one.mean} for one in shown]
        print_json({"test_set": test_set, "ranked": rows, "not_evaluated": found.missing})
        return
    if shown:
        table = [(n, one.model, f"{one.mean:.2f}") for n, one in enumerate(shown, offset + 1)]
        print_table(("", "version", found.measure), table, right=found.measure)
    if found.missing:
        more = f" and {len(found.missing) - 1} more" if len(found.missing) > 1 else ""
        say(
            f"Not evaluated on it yet: {found.missing[0]}{more}."
            f" Run: vsat evaluate {found.missing[0]} --on {test_set}"
        )
