"""RPSTN: relation-based pose estimation in video, as an OpenMMLab plugin.

Importing this package makes the OpenMMLab stack work (:mod:`rpstn.compat`) and registers all
components with MMPose, so it comes before any import of MMPose.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from rpstn import compat
from rpstn.version import __version__

compat.apply()


def _is_doctor() -> bool:
    """Whether this is `rpstn doctor`, which has to start where the rest would fail."""
    return sys.argv[1:2] == ['doctor'] and Path(sys.argv[0]).stem in ('rpstn', '-m')


# Without MMPose there is nothing to register with. In an MMPose that is there nothing may fail.
if find_spec('mmpose') is not None and not _is_doctor():
    import rpstn.apis.amp
    import rpstn.pose
    import rpstn.simulation  # noqa: F401

__all__ = ['__version__']
