"""What a run over videos is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rpstn.choices import LOOK_AHEAD, OUTPUTS, SAVED
from rpstn.engine.configs import read_config, replace_settings
from rpstn.engine.shipped import shipped_files
from rpstn.errors import SettingError
from rpstn.pose.boxes import parse_box
from rpstn.pose.finders import default_finder
from rpstn.video.inputs import is_live
from rpstn.video.part import Moment, Part


@dataclass(frozen=True)
class InferOptions:
    """One call of :func:`rpstn.inference.run.infer`; `rpstn infer --help` says what each is."""

    inputs: Sequence[str]
    """Videos, images, folders, globs, cameras and URLs."""
    out: Path | None = None
    """Folder of the results; none with ``show``."""
    config: str | None = None
    """File, of another model than RPSTN-Lite, with its checkpoint."""
    checkpoint: str | Path | None = None
    save: Sequence[str] | None = None
    """Of :data:`rpstn.choices.OUTPUTS`; :data:`rpstn.choices.SAVED` by default."""
    box: str = 'follow'
    people: int = 1
    finder: str | None = None
    """Of :data:`rpstn.choices.FINDERS`; see :attr:`finds` for the default."""
    det_model: str | None = None
    det_weights: str | None = None
    mode: str = 'auto'
    """Of :data:`rpstn.choices.MODES`."""
    reset_every: int | None = None
    smooth: Mapping[str, float] | bool | None = None
    """Whether joints are smoothed, or settings of the one-euro filter; see :attr:`smooths`."""
    look_ahead: int = LOOK_AHEAD
    """Frames of a file among which the surest is looked for, to begin with it."""
    every_frame: bool = False
    """Whether none is left to those around it; see :attr:`spares`."""
    joints: str | None = None
    """Of :data:`rpstn.choices.JOINTS`."""
    start: Moment = Moment(0)
    end: Moment | None = None
    stride: int = 1
    kpt_thr: float | None = None
    """Score from which a joint is drawn, and trusted when following; the model's own by default."""
    fps: float | None = None
    engine: str = 'torch'
    """Of :data:`rpstn.choices.ENGINES`."""
    precision: str = 'float32'
    exported: Path | None = None
    device: str | None = None
    """As torch names it; a GPU where there is one by default."""
    retries: int | None = None
    """Of live streams; 5 by default."""
    show: bool = False
    resume: bool = False
    overwrite: bool = False
    """Results that are there already."""
    cfg_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.inputs, (str, Path)):  # or it would be taken for its letters
            object.__setattr__(self, 'inputs', (str(self.inputs),))
        if self.out is not None:
            object.__setattr__(self, 'out', Path(self.out))

    def check(self) -> None:
        """See that the options fit each other, before anything takes time.

        Raises:
            SettingError: they do not. BoxError: the box is none.
        """
        if self.out is None and not self.show:
            raise SettingError('--out is needed, the folder of the results (or --show)')
        if self.out is None and (self.save or self.resume or self.overwrite):
            raise SettingError('--save, --resume and --overwrite are of files, which need --out')
        if unknown := set(self.save or ()) - set(OUTPUTS):
            raise SettingError(f'--save must be of {", ".join(OUTPUTS)}, got {sorted(unknown)}')
        if (self.config is None) != (self.checkpoint is None):
            raise SettingError('config and checkpoint are given both, or neither for RPSTN-Lite')
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise SettingError(f'--fps must be above 0 and at most 1000, got {self.fps}')
        if self.look_ahead < 0:
            raise SettingError(f'--look-ahead must be at least 0, got {self.look_ahead}')
        if self.every_frame and (self.config is not None or self.mode == 'clip'):
            raise SettingError(
                '--every-frame is of RPSTN-Lite in stream mode: all else looks at every frame'
            )
        if self.kpt_thr is not None and not math.isfinite(self.kpt_thr):
            raise SettingError(f'--kpt-thr must be a number, got {self.kpt_thr}')
        if self.engine == 'torch' and self.exported is not None:
            raise SettingError('--exported is of engines other than torch: name one by --engine')
        on_cpu = self.engine != 'torch' and self.finder != 'rtmdet'
        if on_cpu and self.device not in (None, 'cpu'):
            raise SettingError(
                f'--device is of engine torch; {self.engine} computes on the cpu, got {self.device}'
            )
        if self.retries is not None and not any(map(is_live, self.inputs)):
            raise SettingError(
                f'--retries is of live streams, got {" ".join(map(str, self.inputs))}'
            )
        end = self.end
        if end is not None and end.seconds == self.start.seconds and end.value <= self.start.value:
            raise SettingError('--end must come after --start')
        if self.finder != 'rtmdet' and (self.det_model or self.det_weights):
            raise SettingError(
                '--det-model and --det-weights are of --finder rtmdet, got '
                f'--finder {self.finds or "frame"}'
            )
        if self.finder is not None and self.mode == 'clip':
            raise SettingError("--finder needs mode 'stream'")
        parse_box(self.box)
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise SettingError(f'{self.out}: --out must be a folder')

    @property
    def finds(self) -> str | None:
        """The finder that was named, or is used by default; none for the whole frame."""
        if self.finder is None and self.config is None and self.mode != 'clip':
            return default_finder(self.box, self.people)
        return self.finder

    @property
    def smooths(self) -> bool | dict[str, float]:
        """What :class:`PoseInferencer` takes; by default RPSTN-Lite's streams are smoothed."""
        if self.smooth is None:
            return self.config is None and self.mode != 'clip'
        return self.smooth if isinstance(self.smooth, bool) else dict(self.smooth)

    @property
    def spares(self) -> bool:
        """Whether frames of files may be left to those around them; by default by RPSTN-Lite."""
        return self.config is None and self.mode != 'clip' and not self.every_frame

    @property
    def part(self) -> Part:
        """Which frames are looked at."""
        return Part(self.start, self.end, self.stride)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is written, each once."""
        return tuple(dict.fromkeys(self.save or SAVED)) if self.out is not None else ()

    def model_files(self) -> tuple[Config, str | Path]:
        """Config, its settings replaced, and checkpoint.

        Raises:
            SettingError: the config cannot be read. ModelError: the shipped model is damaged.
        """
        if self.config is None or self.checkpoint is None:
            config, checkpoint = shipped_files('lite')
            return replace_settings(config, self.cfg_options), checkpoint
        return read_config(self.config, self.cfg_options), self.checkpoint
