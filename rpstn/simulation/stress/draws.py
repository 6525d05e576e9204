"""Random draws that depend on the video, not on the order in which videos come."""

from __future__ import annotations

import zlib

import numpy as np


def video_rng(seed: int, results: dict) -> np.random.Generator:
    """The generator of one seed and of the video that a clip is of."""
    return np.random.default_rng([seed, zlib.crc32(results['video'].encode())])
