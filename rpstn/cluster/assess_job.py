"""`rpstn assess` of each video of an archive, by a warm model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rpstn.assess.exports import to_dict
from rpstn.assess.pipeline import Assessor, is_joint_file
from rpstn.assess.report import FILES
from rpstn.assess.run import AssessOptions, assess_one, in_one_line, open_video
from rpstn.engine.cpu import keep_freed_memory
from rpstn.engine.shipped import FOLDER, shipped_files
from rpstn.errors import SettingError
from rpstn.files import sha256
from rpstn.inference.about import METHOD, sha256_or_name

from .jobs import Look, Outcome, settings_of


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
        """The model is RPSTN-Lite; of all other weights that come with the package, too.

        With what describes them: scores are its config's.
        """
        settings = settings_of(self.options)
        settings['method'] = METHOD
        settings['exercise'] = sha256_or_name(str(self.options.exercise))
        files = sorted([*FOLDER.glob('*.pt'), *FOLDER.glob('*.json')])
        settings['weights'] = {path.name: sha256(path) for path in files}
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
