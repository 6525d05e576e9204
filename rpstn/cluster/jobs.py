"""What is done to each video of an archive: `rpstn infer`, or `rpstn assess`, by a warm model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from rpstn.assess.exports import to_dict
from rpstn.assess.pipeline import Assessor, is_joint_file
from rpstn.assess.report import FILES
from rpstn.assess.run import AssessOptions, assess_one, in_one_line, open_video
from rpstn.choices import OUTPUTS
from rpstn.deploy.export import MANIFEST
from rpstn.engine.cpu import keep_freed_memory
from rpstn.engine.shipped import FOLDER, shipped_files
from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.files import sha256
from rpstn.inference.about import sha256_or_name
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.options import InferOptions
from rpstn.inference.run import InferRun
from rpstn.video.inputs import open_input


@dataclass(frozen=True)
class Outcome:
    """What came of one video."""

    files: Mapping[str, Path]
    """Ending of the name -> file."""
    frames: int
    error: str = ''
    """A line on what is wrong with it; there may be results all the same."""
    summary: str = ''
    nothing: bool = False
    """Whether there was nothing to assess."""
    repetitions: list[dict[str, Any]] = field(default_factory=list)
    angles: list[dict[str, Any]] = field(default_factory=list)


Look = Callable[[str, Path], Outcome]
"""Takes a video here, and an empty folder for its results."""


class Job(Protocol):
    """What is done, and how; pickled for the workers, which have the same files."""

    @property
    def endings(self) -> tuple[str, ...]:
        """All that names of results may end in."""

    @property
    def device(self) -> str | None:
        """Where torch computes, as it was asked for."""

    def check(self) -> None:
        """Raise a SettingError where options do not fit each other, or an archive."""

    def identity(self) -> tuple[str, dict[str, Any]]:
        """The sha256 of the model, and all settings that results depend on, as JSON has them."""

    def load(self) -> Look:
        """A warm model."""


_NOT_OF_RESULTS = ('inputs', 'out', 'show', 'resume', 'overwrite', 'retries', 'device')


def _settings(options: InferOptions | AssessOptions) -> dict[str, Any]:
    given = {one.name: getattr(options, one.name) for one in fields(options)}
    return {name: value for name, value in given.items() if name not in _NOT_OF_RESULTS}


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
        settings = _settings(options)
        settings.update(
            config=hashlib.sha256(repr(config.to_dict()).encode()).hexdigest(),
            checkpoint=None,
            cfg_options=None,
            start=vars(options.start),
            end=options.end and vars(options.end),
            finder=options.finds,
            save=list(replace(options, out=Path()).outputs),
            smooth=None if options.smooth is None else dict(options.smooth),
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


@dataclass(frozen=True)
class AssessJob:
    """`rpstn assess`; of the options ``inputs`` and ``out`` are not used."""

    options: AssessOptions

    @property
    def endings(self) -> tuple[str, ...]:
        """Files of the report."""
        return tuple(f'/{name}' for name in FILES)

    @property
    def device(self) -> str | None:
        """Where torch computes, as it was asked for."""
        return self.options.device

    def check(self) -> None:
        """See that the options fit each other, and an archive."""
        if self.options.show:
            raise SettingError('--show is not of archives (--workers, --cluster)')
        replace(self.options, out=Path()).check()

    def identity(self) -> tuple[str, dict[str, Any]]:
        """The model is RPSTN-Lite; of all other weights that come with the package, too."""
        settings = _settings(self.options)
        settings['exercise'] = sha256_or_name(str(self.options.exercise))
        settings['weights'] = {path.stem: sha256(path) for path in sorted(FOLDER.glob('*.pt'))}
        return sha256(shipped_files('lite')[1]), settings

    def load(self) -> Look:
        """An assessor, and its report."""
        options = self.options
        device = options.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        if device == 'cpu':
            keep_freed_memory()
        asked = (options.exercise, options.height, options.tilt, options.box)
        assessor = Assessor(*asked, device, options.lift)

        def look(video: str, folder: Path) -> Outcome:
            source = None if is_joint_file(video) else open_video(video, options.fps)
            assessment = assess_one(assessor, video, source, options, folder)
            error = ''
            if source is not None and source.damage:
                error = f'{source.path}: {source.damage}; all else is in the report'
            said = to_dict(assessment)
            return Outcome(
                {f'/{path.name}': path for path in folder.iterdir() if path.is_file()},
                0 if assessment.joints is None else len(assessment.joints.frames),
                error,
                in_one_line(assessment),
                not assessment.assessable,
                [_repetition(one) for one in said['repetitions']],
                [
                    dict(repetition=one['number'], **measure)
                    for one in said['repetitions']
                    for measure in map(_angle, one['measures'])
                ],
            )

        return look


def _repetition(one: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of repetitions, but for the video."""
    row = dict(repetition=one['number'])
    for moment in ('start', 'bottom', 'end'):
        row[f'{moment}_frame'], row[f'{moment}_s'] = one[moment]['frame'], one[moment]['time']
    row.update({f'{phase}_s': seconds for phase, seconds in one['seconds'].items()})
    form = one['form'] or {}
    return dict(row, partial=one['partial'], reason=one['reason'], form=form.get('label'))


def _angle(measure: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of angles, but for the video and the repetition."""
    names = ('angle', 'moment', 'unit', 'value', 'left', 'right', 'error')
    return {name: measure[name] for name in names}
