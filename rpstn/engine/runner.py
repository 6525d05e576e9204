"""Configs made to fit this machine, and MMEngine's runner of them."""

from __future__ import annotations

import atexit
import http.client
import itertools
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from rpstn.errors import SettingError

from .amp import CPUAmpOptimWrapper
from .cpu import channels_last, has_bfloat16, keep_freed_memory

_RUNS = itertools.count()


def fit_machine(cfg: Config) -> None:
    """On a machine without a GPU: gloo and DDP on the CPU, and freed memory kept for reuse."""
    if not torch.cuda.is_available():
        cfg.env_cfg = dict(cfg.get('env_cfg') or {}, dist_cfg=dict(backend='gloo'))
        # MMEngine names a GPU to DDP, unless the config says there is none.
        cfg.setdefault(
            'model_wrapper_cfg',
            dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=cfg.get('find_unused_parameters', False),
            ),
        )
        keep_freed_memory()


def use_mixed_precision(cfg: Config) -> None:
    """Train in mixed precision: MMEngine's wrapper on a GPU, bfloat16 on a CPU.

    Raises:
        SettingError: the config has an optimizer wrapper of its own kind.
    """
    given = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if given not in ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper'):
        raise SettingError(
            f'--amp does not fit optim_wrapper.type={given!r}; it takes OptimWrapper'
        )
    if torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    else:
        cfg.optim_wrapper.type = CPUAmpOptimWrapper.__name__
        cfg.optim_wrapper.pop('loss_scale', None)
        if cfg.get('default_scope') != 'mmaction':
            # MMPose's training accuracy goes through NumPy, which knows no bfloat16.
            cfg.model.train_cfg = dict(cfg.model.get('train_cfg') or {}, compute_acc=False)


def check_mixed_precision() -> None:
    """Raise a SettingError where mixed precision would take far longer than float32."""
    if not (torch.cuda.is_available() or has_bfloat16()):
        raise SettingError(
            '--amp needs a GPU, or a processor with bfloat16 (on x86: AVX-512); on '
            'this one it would take far longer than without: leave --amp out'
        )


def drop_unreachable_weights(cfg: Config, timeout: float = 10.0) -> list[str]:
    """Take out pretrained weights of the model that cannot be downloaded, and say so.

    Files already in torch's cache count as reachable; local files are left to MMEngine, which
    stops where one is missing.

    Args:
        cfg: its ``model`` is changed.
        timeout: seconds to wait for each server.

    Returns:
        The addresses taken out.
    """
    reachable: dict[str, bool] = {}
    dropped = []
    for node in list(_nodes(cfg.model)):
        # init_cfg, or RPSTNBackbone's encoder_init and initializer_init.
        for key, init in list(node.items()):
            url = str(init.get('checkpoint', '')) if isinstance(init, dict) else ''
            if not url.startswith(('http://', 'https://')):
                continue
            if url not in reachable:
                reachable[url] = _reachable(url, timeout)
            if reachable[url]:
                continue
            node[key] = None
            dropped.append(url)
            print_log(
                f'{url} cannot be reached: {node.get("type", "the model")} is trained '
                f'without it ({key}=None), from scratch where no other weights are named',
                'current',
                logging.WARNING,
            )
    return dropped


def _nodes(node: object) -> Iterator[ConfigDict]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _nodes(value)


def _reachable(url: str, timeout: float) -> bool:
    if (Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(url).path).name).is_file():
        return True
    try:
        request = urllib.request.Request(url, method='HEAD')
        with urllib.request.urlopen(request, timeout=timeout):
            return True
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def build_runner(cfg: Config) -> Runner:
    """MMEngine's runner, of the config's own type where it names one."""
    if cfg.get('launcher') == 'pytorch' and not torch.cuda.is_available():
        # MMEngine would choose a GPU for the process before it starts the group.
        torch.distributed.init_process_group('gloo')
        # Its threads may not outlive the interpreter: "terminate called without an active
        # exception".
        atexit.register(torch.distributed.destroy_process_group)
    # By the name in MMPose's configs a second run in this process would find the first's
    # visualizer, and by its time the log, if it began in the same second: it would write its curves
    # into the first's folder.
    cfg.get('visualizer', {}).pop('name', None)
    cfg.experiment_name = f'{Path(cfg.filename or "run").stem}_{next(_RUNS)}'
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    for handler in runner.logger.handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream:
            # Names of files may be no text.
            handler.stream.reconfigure(errors='backslashreplace')
    if not runner.distributed:  # DDP has laid out its buckets already
        channels_last(runner.model)
    return runner
