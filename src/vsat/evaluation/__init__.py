"""Versions judged on a person's own recordings.

`example` and `folder` find what they are judged on, `pinned` keeps it, `run` scores one version,
`differences` says whether one is better, and `evaluator` holds it together.
"""

from vsat.evaluation.differences import Difference, Verdict
from vsat.evaluation.evaluator import ModelEvaluator
from vsat.evaluation.pinned import Pinned
from vsat.evaluation.results import Comparison, Evaluation

__all__ = ["Comparison", "Difference", "Evaluation", "ModelEvaluator", "Pinned", "Verdict"]
