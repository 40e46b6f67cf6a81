"""Measures of separation, on arrays in memory: how near the estimates come to the references.

`measure` takes any of `MEASURES`; the functions behind it can be used one by one. SDR, STOI and
PESQ need the extra `evaluate`, which is loaded when they are first computed.
"""

from vsat.metrics.batch import Separation, measure_all
from vsat.metrics.measuring import DEFAULT_MEASURES, MEASURES, Measured, measure
from vsat.metrics.permutation import best_permutation
from vsat.metrics.si_sdr import pairwise_si_sdr_db, si_sdr_db, si_sdr_improvement_db

__all__ = [
    "DEFAULT_MEASURES",
    "MEASURES",
    "Measured",
    "Separation",
    "best_permutation",
    "measure",
    "measure_all",
    "pairwise_si_sdr_db",
    "si_sdr_db",
    "si_sdr_improvement_db",
]
