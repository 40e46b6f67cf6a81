"""How loud a recording is."""

from pathlib import Path

import numpy as np

from vsat.audio.io import read_blocks


def level_db(path: Path) -> float | None:
    """The RMS level of a recording, in dB of amplitude against full scale; None for silence.

    NaN and infinities count as silence. Reads in blocks: memory does not grow with the file.

    Raises:
        AudioError: it can't be read.
    """
    power, n_samples = 0.0, 0
    for block in read_blocks(path):
        clean = np.nan_to_num(block, posinf=0.0, neginf=0.0)
        power += float(np.square(clean, dtype=np.float64).sum())
        n_samples += len(block)
    return 10 * float(np.log10(power / n_samples)) if power > 0 else None
