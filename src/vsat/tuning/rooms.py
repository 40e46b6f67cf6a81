"""Impulse responses of simulated rooms, by the image-source method of pyroomacoustics.

References:
    Allen & Berkley 1979, "Image method for efficiently simulating small-room acoustics".
"""

import numpy as np
import pyroomacoustics

from vsat.tuning.material import PACK_RATE

N_POSITIONS = 4  # speakers' places simulated in each room
LONGEST_S = 0.5  # a response is cut there


def simulate_rooms(count: int, seed: int = 0) -> list[np.ndarray]:
    """Simulate `count` shoebox rooms with a microphone and `N_POSITIONS` places to speak from.

    The direct sound of each response is at sample 0, so that a voice keeps its place in time.

    Returns:
        A list of float32 arrays (positions, samples) at `PACK_RATE`.
    """
    random = np.random.default_rng(seed)
    return [_simulate(random) for _ in range(count)]


def _simulate(random: np.random.Generator) -> np.ndarray:
    size = random.uniform([3, 3, 2.4], [9, 7, 3.5])
    rt60 = random.uniform(0.15, 0.6)
    absorption, _ = pyroomacoustics.inverse_sabine(rt60, size)
    room = pyroomacoustics.ShoeBox(
        size, fs=PACK_RATE, materials=pyroomacoustics.Material(absorption), max_order=12
    )
    room.add_microphone(random.uniform([1, 1, 0.8], size - [1, 1, 0.8]))
    for _ in range(N_POSITIONS):
        room.add_source(random.uniform([0.5, 0.5, 1.0], size - [0.5, 0.5, 0.5]))
    room.compute_rir()
    responses = np.zeros((N_POSITIONS, round(LONGEST_S * PACK_RATE)), np.float32)
    for place, response in enumerate(room.rir[0]):
        direct = int(np.argmax(np.abs(response)))
        tail = response[direct : direct + responses.shape[1]]
        responses[place, : len(tail)] = tail
    return responses
