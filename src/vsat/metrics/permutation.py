"""Which estimate belongs to which reference.

References:
    Best permutation: Kolbæk et al. 2017, "Multitalker speech separation with utterance-level
    permutation invariant training of deep recurrent neural networks".
"""

from itertools import permutations
from math import perm

import numpy as np

from vsat.errors import UsageError
from vsat.metrics.extra import evaluate_extra

MAX_TRIED = 720  # as many as six sources have; for more the assignment problem is solved


def best_permutation(pairwise: np.ndarray) -> tuple[int, ...]:
    """Which estimate belongs to each reference, so that the mean is highest.

    Estimates beyond the number of references belong to none. Of equals the first is taken.

    Args:
        pairwise: any measure that is better when it is higher.

    Shape:
        pairwise: (estimates, references), at least as many estimates as references.

    Raises:
        UsageError: there are fewer estimates than references.
        MissingExtraError: there are more than a few sources, and SciPy is not installed.

    Example:
        >>> best_permutation(np.array([[0.0, 1.0], [5.0, 0.0], [1.0, 7.0]]))
        (1, 2)
    """
    n_estimates, n_references = pairwise.shape
    if n_estimates < n_references:
        raise UsageError(
            f"{n_references} references can't be found among {n_estimates} estimates.",
            hint="Use a model that gives as many sources as there are references, or more.",
        )
    if perm(n_estimates, n_references) > MAX_TRIED:
        return _assigned(pairwise)
    index = np.arange(n_references)
    return max(
        permutations(range(n_estimates), n_references),
        key=lambda order: float(pairwise[list(order), index].sum()),
    )


def _assigned(pairwise: np.ndarray) -> tuple[int, ...]:
    with evaluate_extra("Telling many sources apart"):
        from scipy.optimize import linear_sum_assignment
    _, estimates = linear_sum_assignment(pairwise.T, maximize=True)  # in the references' order
    return tuple(int(index) for index in estimates)
