"""What the sizes of a filterbank say of its sampling rate."""

USUAL_HZ = {(16, 8): 8_000, (32, 16): 16_000}  # by kernel and hop; filters of two milliseconds


def doubt(sample_rate: int, kernel: int, hop: int) -> tuple[str, ...]:
    """A warning where filters of these sizes are usual at another rate; else nothing."""
    usual = USUAL_HZ.get((kernel, hop), sample_rate)
    if usual == sample_rate:
        return ()
    return (
        f"The rate of {sample_rate} Hz does not fit the filters: {kernel} samples, {hop} apart, "
        f"are usual at {usual} Hz. If the voices sound wrong, state the other rate.",
    )
