"""Config files read, with settings replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from rpstn.errors import SettingError, first_line


def read_config(path: str | Path, settings: Mapping[str, Any] | None = None) -> Config:
    """A config file, some of its settings replaced.

    Args:
        path: of the file. It is code, and is run.
        settings: ``{'model.backbone.channels': 128}``.

    Raises:
        SettingError: there is no such file, it cannot be read, or a setting has no place in it.
    """
    if not Path(path).is_file():
        raise SettingError(f'{path}: no such config file')
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is code, which can fail in any way
        raise SettingError(
            f'{path}: the config cannot be read: {type(error).__name__}: {first_line(error)}'
        ) from error
    try:
        config.merge_from_dict(dict(settings or {}))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise SettingError(
            f'{path}: a setting of {", ".join(settings or ())} has no place in the config: '
            f'{first_line(error)}'
        ) from error
    return config


def parse_settings(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """``['a.b=1', 'c=[x,y]']`` as ``{'a.b': 1, 'c': ['x', 'y']}``, as MMEngine reads them.

    Raises:
        SettingError: a pair is not key=value; ``option`` names where it came from.
    """
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition('=')
        if not (key and equals):
            raise SettingError(f'{option} must be key=value, got {pair!r}')
        settings[key] = DictAction._parse_iterable(value)
    return settings
