"""What may come in a file of data: the rule is in docs/security.md.

A config is code, and may name anything that Python can import. The description of packed weights
is data: it chooses among the parts that OpenMMLab's registries hold, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import yaml
from mmengine.fileio.handlers import PickleHandler, file_handlers, yaml_handler
from mmengine.registry import Registry
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS, TRANSFORMS

from rpstn.checkpoints import ModelError
from rpstn.safe_pickle import read_arrays

_SCOPES = ('mmengine', 'mmpose', 'mmaction')
_PARTS = {'default_scope', 'model', 'test_dataloader'}
_DATASET = {'type', 'pipeline', 'clip_len', 'metainfo'}
_ELSEWHERE = ('init_cfg', 'pretrained', 'from_file', 'checkpoint', 'custom_imports', '_base_')
"""Arguments that name other files, which would be read, or run."""
_DEEPEST = 50
_KINDS = ('pickle', 'pkl')


def check_description(config: Any, name: str) -> dict[str, Any]:
    """The config in a description of packed weights, found to be of registered parts only.

    Nothing is imported or built by looking.

    Args:
        config: as JSON gives it.
        name: of the file, for messages.

    Raises:
        ModelError: it holds more than a model and what its clips go through, names a type that no
            registry holds, or another file.
    """
    if not isinstance(config, dict) or 'model' not in config or config.keys() - _PARTS:
        got = ', '.join(config) if isinstance(config, dict) else type(config).__name__
        raise ModelError(
            f'{name}: config must hold model, and at most {", ".join(sorted(_PARTS))}, '
            f'got {got[:80]}'
        )
    if config.get('default_scope', 'mmpose') not in _SCOPES:
        raise ModelError(f'{name}: config.default_scope must be one of {", ".join(_SCOPES)}')
    loader = config.get('test_dataloader', {})
    dataset = loader.get('dataset', {}) if isinstance(loader, dict) else None
    if not isinstance(dataset, dict) or {*loader} - {'dataset'} or dataset.keys() - _DATASET:
        raise ModelError(
            f'{name}: config.test_dataloader must hold a dataset of {", ".join(sorted(_DATASET))}'
        )
    _check(config['model'], (MODELS, KEYPOINT_CODECS), f'{name}: config.model', 0)
    _check(
        dataset.get('pipeline', []), (TRANSFORMS, KEYPOINT_CODECS), f'{name}: config.pipeline', 0
    )
    # There 'type' is a part of the body.
    _check(dataset.get('metainfo'), (), f'{name}: config.metainfo', 0)
    if 'type' in dataset:
        _check(dict(type=dataset['type']), (DATASETS,), f'{name}: config.dataset', 0)
    return config


def _check(node: Any, registries: Sequence[Registry], place: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise ModelError(f'{place}: must not be nested deeper than {_DEEPEST}')
    if isinstance(node, list):
        for value in node:
            _check(value, registries, place, depth + 1)
    if not isinstance(node, dict):
        return
    for key in _ELSEWHERE:
        if node.get(key) is not None:
            raise ModelError(
                f'{place}: {key} must be null, as nothing else is read, got {str(node[key])[:80]!r}'
            )
    if node.get('_scope_', 'mmpose') not in _SCOPES:
        raise ModelError(f'{place}: _scope_ must be one of {", ".join(_SCOPES)}')
    if 'type' in node and registries and not _is_registered(node, registries):
        raise ModelError(
            f'{place}: type must be registered in {" or ".join(_SCOPES)}, got '
            f'{str(node["type"])[:80]!r}'
        )
    for value in node.values():
        _check(value, registries, place, depth + 1)


def _is_registered(node: Mapping[str, Any], registries: Sequence[Registry]) -> bool:
    """Whether the name is in one of the registries; MMEngine would import 'module.name'."""
    kind = node['type']
    if not isinstance(kind, str):
        return False
    scope, _, name = kind.rpartition('.')
    if scope not in ('', *_SCOPES):
        return False
    for registry in registries:
        registry.import_from_location()
        if any(name in held.module_dict for held in _with_parents(registry)):
            return True
    return False


def _with_parents(registry: Registry | None) -> Iterator[Registry]:
    while registry is not None:
        yield registry
        registry = registry.parent


class _Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values only, and tuples, which MMEngine writes by a tag of Python's."""


_Loader.add_constructor(
    'tag:yaml.org,2002:python/tuple', lambda loader, node: tuple(loader.construct_sequence(node))
)


class _Pickles(PickleHandler):
    """Plain values and arrays only; see :mod:`rpstn.safe_pickle`."""

    def load_from_fileobj(self, file: BinaryIO, **kwargs: Any) -> Any:
        return read_arrays(file, 'a pickle of annotations')


@contextmanager
def safe_files() -> Iterator[None]:
    """Inside, MMEngine's readers of YAML and of pickles run nothing."""
    loader, before = yaml_handler.Loader, {kind: file_handlers[kind] for kind in _KINDS}
    yaml_handler.Loader = _Loader
    file_handlers.update({kind: _Pickles() for kind in _KINDS})
    try:
        yield
    finally:
        yaml_handler.Loader = loader
        file_handlers.update(before)
