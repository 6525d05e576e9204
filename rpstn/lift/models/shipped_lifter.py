"""The lifter that comes with the package, and how it lifts a whole video.

Shapes: T frames, V joints of ``lifter15``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmpose.registry import MODELS

from rpstn.checkpoints import SHIPPED, load_all_weights, read_checkpoint, shipped_weights

from .anatomy import TRUNK
from .unsupervised_lifter import UnsupervisedLifter
from .views import normalize

_INTERVAL = 0.1  # seconds between frames, as it was trained


def load_lifter(description: Path = SHIPPED / 'lifter.json') -> UnsupervisedLifter:
    """The network that ``tools/research/lifter/pack_lifter.py`` packed, ready to lift.

    Raises:
        ModelError: a file is missing or damaged.
    """
    saved, weights = shipped_weights(description)
    # Whatever scope another model has left behind.
    model = MODELS.build({'_scope_': 'mmpose', **saved['model']})
    load_all_weights(model, read_checkpoint(weights))
    return model.float().eval()


def lift_video(model: UnsupervisedLifter, image: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Joints in space of one person in a video of any rate.

    Every so many frames make a clip of the rate that the model was trained at.

    Args:
        model: the network.
        image: (T, V, 2) pixels, all known.
        times: (T,) seconds.

    Returns:
        (T, V, 3) x right, y down, z away from the camera, in metres of a body of average size,
        from the pelvis.
    """
    interval = float(np.median(np.diff(times))) if len(times) > 1 else _INTERVAL
    stride = max(round(_INTERVAL / max(interval, 1e-3)), 1)
    clip = normalize(torch.from_numpy(image)[None].float())
    joints = np.empty((*image.shape[:2], 3))
    with torch.inference_mode():
        lengths = model.lengths(clip)
        for start in range(min(stride, len(image))):
            lifted, _ = model.lift(clip[:, start::stride], lengths)
            joints[start::stride] = lifted[0].double().numpy()
    return joints * TRUNK
