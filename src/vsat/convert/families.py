"""The families that are recognised, by their content and in this order.

Each is a module with one function:

    recognise(checkpoint: Checkpoint) -> Conversion | None

None means that the checkpoint is of another family; a checkpoint that is of this one and can't be
used raises a `ConversionError` that says what is missing or too much.
"""

from collections.abc import Callable

from vsat.convert import asteroid, speechbrain, tiger, torchaudio
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.conversion import Conversion
from vsat.errors import ConversionError

FAMILIES: tuple[Callable[[Checkpoint], Conversion | None], ...] = (
    asteroid.recognise,
    torchaudio.recognise,
    speechbrain.recognise,
    tiger.recognise,
)


def recognise(checkpoint: Checkpoint) -> Conversion:
    """Find the family of a checkpoint from its content.

    Raises:
        ConversionError: it is of no known family, or of a known one and can't be used.
    """
    for recognise_family in FAMILIES:
        if conversion := recognise_family(checkpoint):
            return conversion
    raise ConversionError(
        f"{checkpoint.origin} is of no family that vsat knows.",
        hint='To keep it all the same, register it with the metadata {"task": "other"}.',
    )
