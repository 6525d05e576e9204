"""Config files read, with settings replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from rpstn.errors import RPSTNError, SettingError, first_line

from .trust import safe_files

# What MMEngine's runner asks a config for: its parameters, and these.
_OF_RUNNER = {
    *signature(Runner).parameters,
    'runner_type',
    'model_wrapper_cfg',
    'find_unused_parameters',
    'sync_bn',
    'compile',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
}


def read_config(path: str | Path, settings: Mapping[str, Any] | None = None) -> Config:
    """A config file, some of its settings replaced.

    Args:
        path: of the file. It is code, and is run; YAML's tags are not.
        settings: ``{'model.backbone.channels': 128}``.

    Raises:
        SettingError: there is no such file, it cannot be read, or a setting has no place in it.
    """
    if not Path(path).is_file():
        raise SettingError(f'{path}: no such config file')
    try:
        with safe_files():
            config = Config.fromfile(str(path))
    except Exception as error:  # a config is code, which can fail in any way
        reason: BaseException = error
        while isinstance(deeper := reason.__cause__ or reason.__context__, ImportError):
            reason = deeper  # MMEngine says that custom_imports failed, and lists sys.path
        raise SettingError(
            f'{path}: the config cannot be read: {type(reason).__name__}: {first_line(reason)}'
        ) from error
    return replace_settings(config, settings or {})


def replace_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config itself, some of its settings replaced.

    Raises:
        SettingError: a setting has no place in it, or begins with a name that neither the config
            nor MMEngine's runner knows, so that it would change nothing.
    """
    for key in settings:
        if (first := key.partition('.')[0]) not in config and first not in _OF_RUNNER:
            near = get_close_matches(first, [*config, *_OF_RUNNER], n=1)
            raise SettingError(
                f'{config_name(config)}: settings must begin with a name in the config, got {key}'
                + (f'; is {near[0]} meant?' if near else '')
            )
    try:
        config.merge_from_dict(dict(settings))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise SettingError(
            f'{config_name(config)}: a setting of {", ".join(settings)} has no place in the '
            f'config: {first_line(error)}'
        ) from error
    return config


def config_name(config: Config) -> str:
    """How messages call a config."""
    return config.filename or 'the config'


@contextmanager
def building(config: Config, what: str) -> Iterator[None]:
    """What fails while a config's parts are built, such as an unknown type, is a line.

    Raises:
        SettingError: it failed, and why. Errors that are a line already stay as they are.
    """
    try:
        with safe_files():  # data sets of other packages read theirs by MMEngine
            yield
    except (RPSTNError, OSError):
        raise
    except Exception as error:  # of any class that a config can name
        if isinstance(error.__context__, KeyboardInterrupt):  # which MMEngine made an error of
            raise
        raise SettingError(
            f'{config_name(config)}: {what} cannot be built: {type(error).__name__}: '
            f'{first_line(error)}'
        ) from error


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
