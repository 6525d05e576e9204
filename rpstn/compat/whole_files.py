"""MMEngine's files written whole: it truncates the old one before it has written the new one.

A kill or a full disk in between costs both; of checkpoints, with ``max_keep_ckpts=1``, the whole
training, as the old one is removed before the new one is written.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from rpstn.files import write_bytes


def replace_local_files(local_backend: Any) -> None:
    """What goes through the local backend (``dump``, checkpoints, images) is written beside."""

    def put(self: object, obj: bytes, filepath: str | Path) -> None:
        write_bytes(filepath, obj)

    def put_text(self: object, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        write_bytes(filepath, obj.encode(encoding))

    local_backend.LocalBackend.put = put
    local_backend.LocalBackend.put_text = put_text


def save_before_removing(checkpoint_hook: ModuleType) -> None:
    """Old checkpoints, best ones too, go when the new one and ``last_checkpoint`` stand."""
    hook: Any = checkpoint_hook.CheckpointHook
    save_best = hook._save_best_checkpoint

    @functools.wraps(save_best)
    def save_best_first(self: Any, runner: Any, metrics: Any) -> None:
        with _removing_afterwards(self):
            save_best(self, runner, metrics)

    hook._save_checkpoint_with_step = _save_with_step
    hook._save_best_checkpoint = save_best_first


def _save_with_step(self: Any, runner: Any, step: int, meta: dict) -> None:
    """As MMEngine's own: save a checkpoint, note that it is the last, and keep so many."""
    from mmengine.dist import is_main_process

    outdated = []
    # A step may be saved twice, the second time with what its validation gave.
    if self.max_keep_ckpts > 0 and step not in list(self.keep_ckpt_ids)[-1:]:
        kept = [*self.keep_ckpt_ids, step]
        outdated = kept[: -self.max_keep_ckpts]
        self.keep_ckpt_ids.append(step)  # which drops the oldest by itself
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
    name = self.filename_tmpl.format(step)
    self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
    runner.message_hub.update_info('last_ckpt', self.last_ckpt)
    runner.save_checkpoint(
        self.out_dir,
        name,
        self.file_client_args,
        save_optimizer=self.save_optimizer,
        save_param_scheduler=self.save_param_scheduler,
        meta=meta,
        by_epoch=self.by_epoch,
        backend_args=self.backend_args,
        **self.args,
    )
    if is_main_process():
        note = os.path.join(runner.work_dir, 'last_checkpoint')
        write_bytes(note, os.fsencode(self.last_ckpt))
        for old in outdated:
            _remove(
                self.file_backend,
                self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)),
            )


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # as DeepSpeed's are
        backend.rmtree(path)


@contextmanager
def _removing_afterwards(hook: Any) -> Iterator[None]:
    """What the hook removes meanwhile is removed if all went well, unless it was written anew."""
    backend = hook.file_backend
    hook.file_backend = later = _Later(backend)
    try:
        yield
    finally:
        hook.file_backend = backend
    best = getattr(hook, 'best_ckpt_path_dict', None) or {}
    current = {hook.last_ckpt, getattr(hook, 'best_ckpt_path', None), *best.values()}
    for path in later.outdated:
        if path not in current:
            _remove(backend, path)


class _Later:
    """A file backend that only notes what is to be removed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.outdated: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append(path)

    rmtree = remove
