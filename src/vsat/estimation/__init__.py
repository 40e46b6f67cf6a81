"""How good a separation is, measured and estimated without references."""

from vsat.estimation.measures import estimate
from vsat.estimation.reseparation import Separate

__all__ = ["Separate", "estimate"]
