"""`rpstn infer` of each video of an archive, by a warm model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rpstn.choices import OUTPUTS
from rpstn.deploy.export import MANIFEST
from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.files import sha256
from rpstn.inference.about import METHOD, sha256_or_name
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.options import InferOptions
from rpstn.inference.run import InferRun
from rpstn.video.inputs import open_input

from .jobs import Look, Outcome, settings_of


@dataclass(frozen=True)
class InferJob:
    """`rpstn infer`; of the options ``inputs`` and ``out`` are not used."""

    options: InferOptions

    @property
    def device(self) -> str | None:
        """Where torch computes, as it was asked for."""
        return 'cpu' if self.options.engine != 'torch' else self.options.device

    @property
    def endings(self) -> tuple[str, ...]:
        """One for each output; drawn images are PNG."""
        outputs = replace(self.options, out=Path()).outputs
        return (*(OUTPUTS[name] for name in outputs), *(['.png'] if 'video' in outputs else []))

    def check(self) -> None:
        """See that the options fit each other, and an archive."""
        if self.options.show or self.options.retries is not None:
            raise SettingError('--show and --retries are not of archives (--workers, --cluster)')
        replace(self.options, out=Path(), inputs=()).check()

    def identity(self) -> tuple[str, dict[str, Any]]:
        """By the bytes of all files."""
        options = self.options
        config, checkpoint = options.model_files()
        settings = settings_of(options)
        settings.update(
            method=METHOD,
            config=hashlib.sha256(repr(config.to_dict()).encode()).hexdigest(),
            checkpoint=None,
            cfg_options=None,
            start=vars(options.start),
            end=options.end and vars(options.end),
            finder=options.finds,
            save=list(replace(options, out=Path()).outputs),
            smooth=options.smooths,
            exported=options.exported and sha256(options.exported / MANIFEST),
            det_model=sha256_or_name(options.det_model),
            det_weights=sha256_or_name(options.det_weights),
        )
        return str(sha256_or_name(checkpoint)), settings

    def load(self) -> Look:
        """The model of the options, as one run after the other has it."""
        return _WarmRun(replace(self.options, out=Path(), inputs=(), resume=False))


class _WarmRun(InferRun):
    """`rpstn infer` of one video after the other, the model loaded once."""

    def __init__(self, options: InferOptions) -> None:
        super().__init__(options, lambda line: None)
        self._loaded = super()._inferencer()

    def _inferencer(self) -> PoseInferencer:
        return self._loaded

    def __call__(self, video: str, folder: Path) -> Outcome:
        self.options = replace(self.options, inputs=(video,), out=folder)
        self.errors, self.done = [], 0
        error = ''
        try:
            self.run()
        except RPSTNError as wrong:
            error = one_line(wrong)
        files = list(folder.iterdir()) if folder.exists() else []
        if not files or any(path.is_dir() for path in files):  # what an interrupted run leaves
            return Outcome({}, self.done, error)
        name = open_input(video).name
        return Outcome({path.name[len(name) :]: path for path in files}, self.done, error)
