"""RPSTN: pose estimation in video and exercise form, as a plugin of MMPose and MMAction2.

Importing this package makes the OpenMMLab stack work (:mod:`rpstn.compat`) and registers all
components with MMPose and MMAction2, so it comes before any import of theirs.
"""

import gc
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rpstn import compat
from rpstn.version import __version__


@contextmanager
def _without_garbage_collection():
    """Imports make objects that stay; looking through them for garbage takes an eighth longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _is_doctor() -> bool:
    """Whether this is `rpstn doctor`, which has to start where the rest would fail."""
    return sys.argv[1:2] == ['doctor'] and Path(sys.argv[0]).stem in ('rpstn', '-m')


with _without_garbage_collection():
    compat.apply()
    # Without MMPose or MMAction2 there is nothing to register with. In one that is there nothing
    # may fail.
    if not _is_doctor():
        if find_spec('mmpose') is not None:
            import rpstn.engine.amp
            import rpstn.pose
            import rpstn.simulation  # noqa: F401
        # The parts for exercise form read the data sets of rpstn.pose, and so need both.
        if find_spec('mmpose') is not None and find_spec('mmaction') is not None:
            import rpstn.form
            import rpstn.simulation.squats.squat_dataset  # noqa: F401


def __getattr__(name: str):
    """``rpstn.from_pretrained``, which needs more than importing should cost."""
    if name == 'from_pretrained':
        from rpstn.engine.shipped import from_pretrained

        return from_pretrained
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = ['__version__', 'from_pretrained']
