"""What MMEngine 0.10, MMCV 2.1, MMPose 1.3 and MMAction2 1.2 need to run on today's PyTorch.

These packages import things that need not be installed, for parts that hardly anyone uses, and
call things that newer versions of their dependencies dropped or deprecated. :func:`apply` cures
that, each defect by one :class:`~rpstn.compat.import_hook.Patch`, and only where it is there: a
healthy full ``mmcv``, ``mmdet`` or ``torchvision`` is used as it is. Where one is missing,
``import mmdet`` goes on saying so, and guards such as ``try: from mmcv.ops import DeformConv2d``
go on working; only what is imported without a guard is stood in for, by classes that name the
package to install once they are used.
"""

import functools
import importlib.metadata
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pickle import UnpicklingError
from types import ModuleType
from typing import Any, NoReturn

from . import package_utils as ours
from .import_hook import Patch, afterwards, install, lend, quietly
from .versions import INSTALL_MMACTION, INSTALL_MMCV, INSTALL_MMDET, INSTALL_TORCHVISION
from .whole_files import replace_local_files, save_before_removing


def apply() -> list[Patch]:
    """Makes the stack work; doing it again changes nothing.

    Returns:
        All patches, those that are not needed here included.
    """
    install(_PATCHES)
    return patches()


def patches() -> list[Patch]:
    """All patches, whether needed here or not."""
    return list(_PATCHES)


def _missing(name: str) -> Callable[[], bool]:
    """Tells whether a module cannot be found; its parent, if it has one, must be importable."""
    return lambda: name not in sys.modules and find_spec(name) is None


def _always() -> bool:
    """In every version that is allowed."""
    return True


def _unusable(name: str, command: str) -> type:
    """A class to import and to name, which says what to install when it is instantiated."""

    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise ImportError(f'{name} is not available; install it with: {command}')

    members = {'__init__': refuse, '__doc__': f'Stands for {name}, which is not installed.'}
    return type(name.rpartition('.')[2], (), members)


def _reduce_mean(tensor: object) -> NoReturn:
    """Stands for mmdet.utils.reduce_mean, which is not installed."""
    raise ImportError(f'mmdet.utils.reduce_mean is not available; install it with: {INSTALL_MMDET}')


def _pkg_resources_is_gone() -> bool:
    """Setuptools 82 has no pkg_resources; from 80.9 on it warns whenever that is imported."""
    if find_spec('pkg_resources') is None:
        return True
    try:
        major, minor = importlib.metadata.version('setuptools').split('.')[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= (80, 9)


def _use_importlib_metadata(package_utils: ModuleType) -> None:
    for name in ('is_installed', 'get_installed_path', 'package2module'):
        theirs = getattr(package_utils, name)
        # Where MMEngine was imported before, others have taken the function from there.
        for module in list(sys.modules.values()):
            if vars(module).get(name) is theirs:
                setattr(module, name, getattr(ours, name))


def _torch_can_allow_globals() -> bool:
    """From 2.6 on torch.load refuses what is not allowed by name."""
    import torch

    return hasattr(torch.serialization, 'add_safe_globals')


def _allow_checkpoints(history_buffer: ModuleType) -> None:
    """Allows torch.load what the checkpoints of MMEngine hold, by name, and nothing else."""
    import numpy as np
    import torch

    buffer_class = history_buffer.HistoryBuffer

    def get_statistic(owner: object, name: str) -> object:
        # A HistoryBuffer is written with getattr(HistoryBuffer, 'mean') and the like in it. To
        # allow getattr itself would be to allow everything.
        if owner is buffer_class and name in ('min', 'max', 'current', 'mean'):
            return getattr(owner, name)
        raise UnpicklingError(f'getattr of {name!r} is not allowed in a checkpoint')

    reconstruct: Any = np.empty(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    torch.serialization.add_safe_globals(
        [
            buffer_class,
            (get_statistic, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in '?bhilqBHILQefd'},
            # NumPy 2 renamed numpy.core; a checkpoint may have been written with either.
            *((reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
            *((scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
        ]
    )


def _download_weights_only(checkpoint: Any) -> None:
    """Has downloaded checkpoints loaded as local ones are."""
    checkpoint.load_url = functools.partial(checkpoint.load_url, weights_only=True)


def _grad_scaler_is_deprecated() -> bool:
    """From 2.3 on there is torch.amp.GradScaler, and torch.cuda.amp's warns."""
    import torch

    return hasattr(torch.amp, 'GradScaler')


def _use_current_grad_scaler(amp_optimizer_wrapper: Any) -> None:
    import torch

    amp_optimizer_wrapper.GradScaler = torch.amp.GradScaler


def _canvas_lacks_rgb() -> bool:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return not hasattr(FigureCanvasAgg, 'tostring_rgb')


def _restore_canvas_rgb(_: ModuleType) -> None:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def tostring_rgb(self: FigureCanvasAgg) -> bytes:
        """The drawn canvas as the bytes of (H, W, 3) uint8, which matplotlib 3.10 dropped."""
        return np.asarray(self.buffer_rgba())[..., :3].tobytes()

    FigureCanvasAgg.tostring_rgb = tostring_rgb


_DEFORMABLE_ATTENTION = 'mmcv.ops.MultiScaleDeformableAttention'
_DRN = 'mmaction.models.localizers.drn'

_PATCHES = (
    Patch(
        name='mmcv.ops',
        reason='MMPose imports MultiScaleDeformableAttention, which mmcv-lite lacks',
        modules=(
            'mmpose.models.heads.transformer_heads.edpose_head',
            'mmpose.models.heads.transformer_heads.transformers.deformable_detr_layers',
        ),
        is_broken=_missing('mmcv._ext'),
        cure=lend(
            {
                'mmcv.ops': {
                    'MultiScaleDeformableAttention': _unusable(_DEFORMABLE_ATTENTION, INSTALL_MMCV)
                }
            }
        ),
    ),
    Patch(
        name='mmcv.ops warning',
        reason='mmcv-lite warns that it lacks MultiScaleDeformableAttention, used or not',
        modules=('mmcv.cnn.bricks.transformer',),
        is_broken=_missing('mmcv._ext'),
        cure=quietly('Fail to import ``MultiScaleDeformableAttention``'),
    ),
    Patch(
        name='mmdet.utils',
        reason='MMPose imports ConfigType and reduce_mean for RTMO',
        modules=('mmpose.models.heads.hybrid_heads.rtmo_head',),
        is_broken=_missing('mmdet'),
        cure=lend({'mmdet.utils': {'ConfigType': dict, 'reduce_mean': _reduce_mean}}),
    ),
    Patch(
        name='torchvision.transforms',
        reason='MMPose imports ToPILImage to draw SimCC heatmaps',
        modules=('mmpose.visualization.simcc_vis',),
        is_broken=_missing('torchvision'),
        cure=lend(
            {
                'torchvision.transforms': {
                    'ToPILImage': _unusable(
                        'torchvision.transforms.ToPILImage', INSTALL_TORCHVISION
                    )
                }
            }
        ),
    ),
    Patch(
        name='six.moves',
        reason='MMPose imports map and zip from it, without requiring six',
        modules=('mmpose.models.utils.misc',),
        is_broken=_missing('six'),
        cure=lend({'six.moves': {'map': map, 'zip': zip}}),
    ),
    Patch(
        name=_DRN,
        reason='the mmaction2 of PyPI imports DRN and lacks it',
        modules=('mmaction.models.localizers',),
        is_broken=_missing(_DRN),
        cure=lend({f'{_DRN}.drn': {'DRN': _unusable(f'{_DRN}.drn.DRN', INSTALL_MMACTION)}}),
    ),
    Patch(
        name='importlib_metadata',
        reason='MMAction2 imports it without requiring it; Python has it as importlib.metadata',
        modules=('mmaction.utils.dependency',),
        is_broken=_missing('importlib_metadata'),
        cure=lend({'importlib_metadata': vars(importlib.metadata)}),
    ),
    Patch(
        name='pkg_resources',
        reason='MMEngine uses it; setuptools 82 dropped it, 80.9 warns about it',
        modules=('mmengine.utils.package_utils',),
        is_broken=_pkg_resources_is_gone,
        cure=afterwards(_use_importlib_metadata),
        at_once=True,
    ),
    Patch(
        name='torch.load of MMEngine checkpoints',
        reason='torch 2.6 refuses the HistoryBuffer and NumPy values in them',
        modules=('mmengine.logging.history_buffer',),
        is_broken=_torch_can_allow_globals,
        cure=afterwards(_allow_checkpoints),
        at_once=True,
    ),
    Patch(
        name='torch.hub in MMEngine',
        reason='it executes what a downloaded checkpoint names, where torch.load refuses to',
        modules=('mmengine.runner.checkpoint',),
        is_broken=_torch_can_allow_globals,
        cure=afterwards(_download_weights_only),
        at_once=True,
    ),
    Patch(
        name='torch.cuda.amp.GradScaler',
        reason='MMEngine uses it; torch 2.4 warns about it',
        modules=('mmengine.optim.optimizer.amp_optimizer_wrapper',),
        is_broken=_grad_scaler_is_deprecated,
        cure=afterwards(_use_current_grad_scaler),
        at_once=True,
    ),
    Patch(
        name='FigureCanvasAgg.tostring_rgb',
        reason="MMPose's 3D visualizer calls it; matplotlib 3.10 dropped it",
        modules=('mmpose.visualization.local_visualizer_3d',),
        is_broken=_canvas_lacks_rgb,
        cure=afterwards(_restore_canvas_rgb),
        at_once=True,
    ),
    Patch(
        name='mmengine.fileio',
        reason='MMEngine truncates the old file before it has written the new one',
        modules=('mmengine.fileio.backends.local_backend',),
        is_broken=_always,
        cure=afterwards(replace_local_files),
        at_once=True,
    ),
    Patch(
        name='mmengine.hooks.CheckpointHook',
        reason='it removes old checkpoints before it has written the new one',
        modules=('mmengine.hooks.checkpoint_hook',),
        is_broken=_always,
        cure=afterwards(save_before_removing),
        at_once=True,
    ),
)
