"""Where OpenMMLab's registries find the parts of this package.

A registry of MMEngine imports the modules at its *locations* when it is first asked for a part.
Ours are added to them when the module that has the registries is imported, so ``import rpstn``
alone imports none of the stack, and in which order rpstn and the others are imported matters to
nobody. A registry that has imported its locations already is given ours at once.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from rpstn.compat.import_hook import Patch, afterwards, install

_ALL = ''
_PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    'mmpose.registry': {
        _ALL: (
            'rpstn.pose',
            'rpstn.lift.models',
            'rpstn.lift.datasets',
            'rpstn.lift.evaluation',
            'rpstn.simulation',
            'rpstn.engine.amp',
        )
    },
    'mmaction.registry': {
        _ALL: ('rpstn.form', 'rpstn.simulation.squats.squat_dataset', 'rpstn.engine.amp')
    },
    # JRE, NonLocalRelation and JRPSP are for everybody, and so is the evaluator of frames.
    'mmengine.registry': {
        'MODELS': ('rpstn.pose',),
        'EVALUATOR': ('rpstn.pose',),
        'OPTIM_WRAPPERS': ('rpstn.engine.amp',),
    },
    **{
        # A registry looks into its parent, MMEngine's, without having that import anything.
        f'{package}.registry': {'MODELS': ('rpstn.pose',), 'OPTIM_WRAPPERS': ('rpstn.engine.amp',)}
        for package in ('mmdet', 'mmdet3d', 'mmpretrain', 'mmrotate', 'mmseg', 'mmyolo')
    },
}
"""Module with registries -> names of registries, or all of them -> modules that register parts."""


def register() -> None:
    """Have the registries find the parts of this package; doing it again changes nothing."""
    install(_PATCHES)


def _add_locations(module: ModuleType) -> None:
    from mmengine.registry import Registry

    parts = _PARTS[module.__name__]
    for name, registry in vars(module).items():
        if isinstance(registry, Registry) and registry.scope == module.__name__.split('.')[0]:
            _add(registry, parts, name)


def _add(registry: Any, parts: Mapping[str, tuple[str, ...]], name: str) -> None:
    for location in filter(_is_usable, parts.get(name, parts.get(_ALL, ()))):
        # The constructor's `locations`; there is no method for it.
        if location not in registry._locations:
            registry._locations.append(location)
            if registry._imported:
                import_module(location)


def _is_usable(location: str) -> bool:
    """Without MMPose the parts for exercise form are there, and nothing that stands on it."""
    return location.startswith(('rpstn.form', 'rpstn.engine')) or find_spec('mmpose') is not None


# Not a list, which would be another one in every call.
_PATCHES = tuple(
    Patch(
        name=f'parts of rpstn in {module}',
        reason='',
        modules=(module,),
        is_broken=lambda: True,
        cure=afterwards(_add_locations),
        at_once=True,
    )
    for module in _PARTS
)
