"""Fit the estimator of SI-SDR to what `collect_separations.py` kept, and say what it is worth.

    python recipes/fit_estimator.py COLLECTED [--write] [--plot docs/pictures/NAME.svg]

It is fitted to mixtures of training speakers, of all models, those with harm done to them included,
and judged on mixtures of held-out speakers. Each model is also judged by an estimator that was
fitted without it.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from scatter import draw_scatter
from scipy.stats import spearmanr

from vsat.estimation.estimator import FILE, FORMAT, Estimator, Scale, Term
from vsat.estimation.measures import voice_measures
from vsat.estimation.outputs import scaled_to
from vsat.metrics import best_permutation, pairwise_si_sdr_db

SAMPLE_RATE = 16_000  # Hz, of what was collected
MEASURES = (
    "decorrelation_db",
    "weakest_decorrelation_db",
    "self_consistency_db",
    "weakest_self_consistency_db",
    "window_consistency_db",
    "swap_share",
    "coherence",
    "crosstalk_db",
    "noise_floor_db",
)
PENALTY = 30.0  # of the ridge, in rows; between 10 and 100 little changes
HARMED_WEIGHT = 0.1  # of a row of a harmed model: it widens the range, real models set the scale
COLUMNS = (
    "judged on",
    "rows",
    "true mean, dB",
    "Pearson",
    "Spearman",
    "MAE, dB",
    "bias, dB",
    "MAE of the mean, dB",
)
TRUE_RANGE_DB = (-20.0, 40.0)  # a voice that was lost altogether counts as that low


@dataclass(frozen=True)
class Row:
    """One mixture that one model separated."""

    model: str
    name: str
    true_db: float
    measures: dict[str, float]

    @property
    def is_harmed(self) -> bool:
        """Whether known damage was done to the outputs."""
        return "+" in self.model


def read_rows(folder: Path) -> list[Row]:
    return [
        row
        for path in sorted(folder.glob("*/*.npz"))
        if (row := read_row(path, path.parent.name)) is not None
    ]


def read_row(path: Path, model: str) -> Row | None:
    """What is known of one separation; None where a reference is silent."""
    kept_measures = path.with_suffix(".json")
    if kept_measures.exists() and kept_measures.stat().st_mtime > path.stat().st_mtime:
        return Row(model, path.stem, **json.loads(kept_measures.read_text()))
    with np.load(path) as kept:
        mixture, references, estimates, again = (
            kept[name].astype(np.float64)
            for name in ("mixture", "references", "estimates", "again")
        )
    if not np.square(references).sum(axis=1).all():
        return None
    found = {
        "true_db": true_si_sdr_db(estimates, references),
        "measures": voice_measures(mixture, scaled_to(mixture, estimates), again, SAMPLE_RATE),
    }
    kept_measures.write_text(json.dumps(found))
    return Row(model, path.stem, **found)


def true_si_sdr_db(estimates: np.ndarray, references: np.ndarray) -> float:
    """Mean over the references under the best permutation."""
    pairwise = np.clip(pairwise_si_sdr_db(estimates, references), *TRUE_RANGE_DB)
    order = best_permutation(pairwise)
    return float(pairwise[list(order), np.arange(len(references))].mean())


def fit(rows: Sequence[Row]) -> Estimator:
    """Weighted ridge regression on standardised measures and on the products of two."""
    weights = np.array([HARMED_WEIGHT if row.is_harmed else 1.0 for row in rows])
    scales = tuple(scale_of(name, rows, weights) for name in MEASURES)
    products = [(name,) for name in MEASURES]
    products += list(combinations_with_replacement(MEASURES, 2))
    values = {
        scale.measure: np.array([scale.standardised(row.measures[scale.measure]) for row in rows])
        for scale in scales
    }
    columns = [np.prod([values[name] for name in names], axis=0) for names in products]
    design = np.column_stack([np.ones(len(rows)), *columns])  # (rows, 1 + terms)
    target = np.array([row.true_db for row in rows])
    penalty = PENALTY * np.diag([0.0] + [1.0] * len(products))
    normal = design.T @ (weights[:, None] * design) + penalty
    intercept, *found = np.linalg.solve(normal, design.T @ (weights * target)).tolist()
    terms = zip(products, found, strict=True)
    return Estimator(intercept, scales, tuple(Term(names, weight) for names, weight in terms))


def scale_of(measure: str, rows: Sequence[Row], weights: np.ndarray) -> Scale:
    values = np.array([row.measures[measure] for row in rows])
    mean = float(np.average(values, weights=weights))
    deviation = float(np.sqrt(np.average(np.square(values - mean), weights=weights)))
    return Scale(measure, mean, deviation)


def figures(rows: Sequence[Row], estimator: Estimator) -> dict[str, float]:
    true = np.array([row.true_db for row in rows])
    estimated = np.array([estimator(row.measures) for row in rows])
    return {
        "rows": len(rows),
        "true_db": true.mean(),
        "pearson": np.corrcoef(true, estimated)[0, 1],
        "spearman": spearmanr(true, estimated).statistic,
        "mae_db": np.abs(estimated - true).mean(),
        "bias_db": (estimated - true).mean(),
    }


def table(judged: Iterable[tuple[str, Sequence[Row], Estimator]], mean_db: float) -> str:
    """As Markdown; the baseline predicts for each row the mean of what was fitted to."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    for name, rows, estimator in judged:
        one = figures(rows, estimator)
        baseline = np.abs(np.array([row.true_db for row in rows]) - mean_db).mean()
        lines.append(
            f"| {name} | {one['rows']} | {one['true_db']:.2f} | {one['pearson']:.3f}"
            f" | {one['spearman']:.3f} | {one['mae_db']:.2f} | {one['bias_db']:+.2f}"
            f" | {baseline:.2f} |"
        )
    return "\n".join(lines)


def family(model: str) -> str:
    """A model without the harm that was done to it."""
    return model.partition("+")[0]


def as_json(estimator: Estimator, rows: Sequence[Row]) -> str:
    counts = {model: sum(row.model == model for row in rows) for model in {r.model for r in rows}}
    fields = {
        "format": FORMAT,
        "fitted_on": dict(sorted(counts.items())),
        **asdict(estimator),
    }
    return json.dumps(fields, indent=1) + "\n"


def report(train: Sequence[Row], valid: Sequence[Row], estimator: Estimator) -> str:
    """What the estimator is worth on unheard voices, as three Markdown tables."""
    mean_db = float(np.mean([row.true_db for row in train if not row.is_harmed]))
    groups = by_model(valid)
    real = {name: rows for name, rows in groups.items() if "+" not in name}
    everything = [row for rows in real.values() for row in rows]
    shared = set.intersection(*({row.name for row in rows} for rows in real.values()))
    common = [row for row in everything if row.name in shared]
    pooled = {"all of them": everything, "the mixtures that all separated": common}
    left_out = [
        (name, rows, fit([row for row in train if family(row.model) != name]))
        for name, rows in real.items()
    ]
    parts = [
        ("Fitted with all models", [(*pair, estimator) for pair in (real | pooled).items()]),
        ("Fitted without the model that is judged", left_out),
        ("Harmed", [(*pair, estimator) for pair in groups.items() if "+" in pair[0]]),
    ]
    return "\n\n".join(f"{title}\n\n{table(judged, mean_db)}" for title, judged in parts)


def by_model(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    return dict(sorted(groups.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("collected", type=Path)
    parser.add_argument("--write", action="store_true", help="the coefficients that ship")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    arguments = parser.parse_args()
    rows = read_rows(arguments.collected)
    train = [row for row in rows if row.name.startswith("train-")]
    valid = [row for row in rows if row.name.startswith("valid-")]
    estimator = fit(train)
    print(report(train, valid, estimator))
    if arguments.write:
        FILE.write_text(as_json(estimator, train))
    if arguments.plot:
        groups = by_model(row for row in valid if not row.is_harmed)
        points = {
            name: [(row.true_db, estimator(row.measures)) for row in rows]
            for name, rows in groups.items()
        }
        arguments.plot.write_text(draw_scatter(points))


if __name__ == "__main__":
    main()
