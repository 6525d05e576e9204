"""People's joints out of whatever shows them, frame by frame.

    inferencer = PoseInferencer()  # RPSTN-Lite; or PoseInferencer('configs/...py', 'best.pth')
    for result in inferencer('squat.mp4'):
        for person in result.people:
            print(result.time, person.id, person.keypoints)

Results are typed: :class:`rpstn.results.FrameResult`.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmpose.models.pose_estimators.base import BasePoseEstimator

from rpstn.checkpoints import ModelError
from rpstn.choices import LOOK_AHEAD, MODES, kpt_thr_of
from rpstn.deploy.engines import build_stepper, check_engine, export_for_engine
from rpstn.deploy.export import Exported
from rpstn.engine.loading import joint_names, load_model
from rpstn.engine.shipped import shipped_files
from rpstn.errors import SettingError, first_line
from rpstn.pose.boxes import BoxError, parse_box
from rpstn.pose.crops import looks_upright
from rpstn.pose.finders import build_finder, default_finder
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.streaming.steppers import Stepper
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult
from rpstn.video.frames import Frame, FrameSource
from rpstn.video.inputs import Source, open_input
from rpstn.video.live import LiveSource
from rpstn.video.part import WHOLE, Part
from rpstn.video.readahead import read_ahead

from .answered_joints import AnsweredJoints
from .clips import predict_video
from .kernel_smoother import KernelSmoother
from .one_euro import OneEuroFilter, OneEuroSmoother
from .streams import stream_video


class PoseInferencer:
    """A trained model, ready to be asked.

    In ``clip`` mode a video is cut into clips of T frames, as in `rpstn test`, and gives what
    that gives for the same boxes; one person, a clip's frames late. In ``stream`` mode each frame
    is answered before the next is looked at, but for files: their next frame's crops are encoded
    meanwhile, and their beginning is looked through (both ``look_ahead``); and for smoothing
    (``smooth``). Heatmaps and features are carried on for as long as a person is seen:
    :class:`rpstn.pose.StreamingRPSTN`. ``auto`` is ``clip`` for files and ``stream`` for cameras
    and network streams, for several people, with other options of streaming, for engines other
    than torch, for RPSTN-Lite, and for models that look at upright crops, which a clip's frames
    have late; single-frame models know clips only.

    Args:
        config: config file, or config. Defaults to RPSTN-Lite, which comes with the package.
        checkpoint: of MMEngine, or a plain state dict. Nothing in it is executed.
        device: as torch names it.
        engine: what computes the network: ``'torch'``, ``'onnx'`` (ONNX Runtime) or
            ``'openvino'``, the last two on the CPU.
        precision: ``'float32'``, or what else the engine offers
            (:data:`rpstn.choices.ENGINES`).
        exported: folder of `rpstn export` for the engine; without it the
            model is exported on the way.
        mode: ``'auto'``, ``'clip'`` or ``'stream'``.
        box: where a person is, see :func:`rpstn.pose.boxes.parse_box`. Defaults to
            following the joints, from the whole image on.
        kpt_thr: score from which a joint is trusted when following. Defaults to the model's own:
            0.2 of the peaks of its heatmaps, whatever scores it makes of them.
        smooth: whether joints are smoothed: of files by the frames before and after
            (:mod:`rpstn.inference.kernel_smoother`), for which each waits for 0.4 seconds of
            others, of live sources by a one-euro filter, which looks back only; or this filter's
            settings, for all sources (:class:`rpstn.inference.one_euro.OneEuroFilter`); ``{}`` for
            its own. Off by default.
        stream_options: more of :class:`StreamingRPSTN`: ``finder``,
            ``max_people``, ``reset_every``, ... RPSTN-Lite finds people by BlazePose's detector
            where no finder is given.
        joints: skeleton that is answered in, of
            :data:`rpstn.inference.answered_joints.ANSWERS`, e.g. ``'coco17'``. Defaults to the
            model's.
        world: whether people's joints are answered in metres, too
            (:attr:`rpstn.results.PersonResult.world`), at hardly any cost; by models built on
            BlazePose, as RPSTN-Lite is.
        look_ahead: frames of a file among which the surest is looked for, to begin with it
            (:mod:`rpstn.inference.beginning`), in stream mode, by a finder that says how sure it
            is, as BlazePose's; where it sees nobody, by RPSTN-Lite whom the network guesses
            (:mod:`rpstn.inference.guesses`). 0 begins in the first frame, as of live sources, and
            lets no frame's crops be encoded before the last frame is answered.
        spare: whether frames of a file that lie between two others, at most a tenth of a second
            apart, are left to these while everybody is followed surely and moves calmly
            (:mod:`rpstn.inference.sparing`). In stream mode, of those who are followed, where
            ``look_ahead`` is not 0 and no ``reset_every`` is given. Off by default.

    Raises:
        ModelError: config and checkpoint give no model, or not for this engine or mode.
        BoxError: the box cannot be used.
        SettingError: another mode, or options of streaming that cannot be.
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | None = None,
        device: str = 'cpu',
        engine: str = 'torch',
        precision: str = 'float32',
        exported: str | Path | None = None,
        mode: str = 'auto',
        box: str | Sequence[float] = 'follow',
        kpt_thr: float | None = None,
        smooth: bool | dict[str, float] = False,
        stream_options: dict | None = None,
        joints: str | None = None,
        world: bool = False,
        look_ahead: int = LOOK_AHEAD,
        spare: bool = False,
    ) -> None:
        if mode not in MODES:
            raise SettingError(f'mode must be one of {MODES}, got {mode!r}')
        if look_ahead < 0:
            raise SettingError(f'look_ahead must be at least 0, got {look_ahead}')
        plain = (engine, precision) == ('torch', 'float32')
        check_engine(engine, precision)  # before the model is loaded
        if engine == 'torch' and exported is not None:
            raise SettingError('exported is of engines other than torch')
        if kpt_thr is not None and not math.isfinite(kpt_thr):
            raise SettingError(f'kpt_thr must be a number, got {kpt_thr}')
        parse_box(box)
        self.box = box
        self.world = world
        self.look_ahead = look_ahead
        self.smooth = smooth
        self.stream_options = dict(stream_options or {})
        self.spare = spare and self.stream_options.get('reset_every') is None
        try:
            OneEuroSmoother(**self._one_euro())  # refuses settings that cannot be
        except TypeError as error:
            raise SettingError(f'smooth: {first_line(error)}') from None
        if config is None and checkpoint is None:
            config, checkpoint = shipped_files()
        elif config is None or checkpoint is None:
            raise ModelError('config and checkpoint are given both, or neither for RPSTN-Lite')
        model: BasePoseEstimator = load_model(
            config, checkpoint, device if engine == 'torch' else 'cpu'
        )
        self.model = model
        self.kpt_thr = kpt_thr_of(model.dataset_meta) if kpt_thr is None else kpt_thr
        self.answered = AnsweredJoints(model.dataset_meta, joints) if joints else None
        recurrent = isinstance(model, VideoPoseEstimator)
        if recurrent and looks_upright(model.cfg):
            mode = 'stream' if mode == 'auto' else mode
            people = self.stream_options.get('max_people', 1)
            finder = default_finder(box, people) if mode == 'stream' else None
            if finder and self.stream_options.get('finder') is None:
                where = device if engine == 'torch' else 'cpu'
                self.stream_options['finder'] = build_finder(finder, people=people, device=where)
        options = {k: v for k, v in self.stream_options.items() if v is not None}
        people = options.pop('max_people', 1)
        streams = not plain or people > 1 or bool(options)
        if mode == 'clip' and streams:
            raise ModelError(
                "mode 'clip' is for one person, no stream_options, engine 'torch' "
                "and float32; all else needs mode 'stream'"
            )
        if not recurrent and (mode == 'stream' or streams):
            raise ModelError(
                f'{type(model).__name__} is a single-frame model, which has '
                "nothing to carry on: it knows mode 'clip', one person, no "
                "stream_options, engine 'torch' and float32 only"
            )
        if 'finder' in options and people == 1 and not parse_box(box)[0]:
            raise BoxError(
                f'box {box!r} is for all frames, and would leave the finder nothing to '
                "look for; use 'follow'"
            )
        self.mode = mode if recurrent else 'clip'
        if self.mode == 'auto' and streams:
            self.mode = 'stream'
        self.stepper: Stepper | BasePoseEstimator = model
        self.streaming: StreamingRPSTN | None = None
        if self.mode != 'clip':
            self.stepper = stepper = self._build_stepper(engine, precision, exported)
            self.streaming = StreamingRPSTN(
                stepper, model.cfg, min_score=self.kpt_thr, world=world, **self.stream_options
            )
        self.engine = getattr(
            self.stepper, 'device', f'PyTorch {torch.__version__} on {device}, float32'
        )

    def _build_stepper(self, engine: str, precision: str, exported: str | Path | None) -> Stepper:
        if engine == 'torch':
            return build_stepper(self.model, engine, precision)
        if exported is not None:
            opened = Exported.open(exported)
            opened.check_source(self.model)
            return build_stepper(opened, engine, precision)
        with tempfile.TemporaryDirectory() as folder:
            return build_stepper(
                export_for_engine(self.model, folder, engine, precision), engine, precision
            )

    @property
    def dataset_meta(self) -> dict:
        """MMPose's, of the joints that are answered: names, limbs, colours."""
        return self.answered.meta if self.answered else self.model.dataset_meta

    @property
    def joints(self) -> list[str]:
        """The K names, in order."""
        return joint_names(self.dataset_meta)

    def mode_for(self, source: Source) -> str:
        """``'clip'`` or ``'stream'``, whichever a source is looked at in."""
        if self.mode != 'auto':
            return self.mode
        return 'stream' if source.live else 'clip'

    def smoothing(self, live: bool) -> dict[str, Any] | None:
        """What joints of a source are smoothed by: name and settings of the filter, if any."""
        if not self.smooth and not isinstance(self.smooth, dict):
            return None
        if live or isinstance(self.smooth, dict):
            return dict(filter='one_euro', **OneEuroFilter(**self._one_euro()).settings)
        return dict(filter='kernel')

    def _one_euro(self) -> dict[str, float]:
        return self.smooth if isinstance(self.smooth, dict) else {}

    def finish(self, results: Iterable[FrameResult], live: bool) -> Iterator[FrameResult]:
        """The :meth:`raw` results of a source, smoothed, and with the joints asked for."""
        smoothing = self.smoothing(live)
        if smoothing is not None and smoothing['filter'] == 'kernel':
            results = KernelSmoother()(results)
        elif smoothing is not None:
            results = map(OneEuroSmoother(**self._one_euro()), results)
        return map(self.answered, results) if self.answered else iter(results)

    def __call__(
        self, source: str | int | Path | Source, part: Part = WHOLE
    ) -> Iterator[FrameResult]:
        """The frames' results, in order, as they come.

        Memory does not grow with the number of frames; decoding goes on in a thread of its own.
        Frames of files are all answered; of live sources those that come while the model is busy
        are dropped. Frames that cannot be decoded are left out, and named by a warning at the end.

        Args:
            source: an image, a video, a folder or glob of images, the number of a camera, a URL,
                or one of these opened already.
            part: which frames, of a source that is not opened yet.

        Raises:
            UnreadableFrameError: it cannot be read, or a live stream broke off for good.
            BoxError: the box lies outside the image.
            ModelError: the model's answer is no number.
        """
        if not isinstance(source, (FrameSource, LiveSource)):
            source = open_input(source, part=part)
        yield from self.finish(self.raw(source), source.live)
        if isinstance(source, FrameSource) and source.damage:
            warnings.warn(f'{source.path}: {source.damage}', stacklevel=2)

    def raw(self, source: Source, known: Iterable[FrameResult] = ()) -> Iterator[FrameResult]:
        """As calling it, before :meth:`finish`.

        Args:
            source: that is opened.
            known: what an earlier run over the same source gave, from
                its first frame on: given out again, with the images, and gone on from. In clip
                mode all is as if that run had never stopped; in stream mode everybody's
                recurrence starts anew, with P, in the first frame that is not known.
        """
        # Both are generators, which close what they read from.
        frames = cast(
            'Generator[Frame, None, None]',
            iter(source) if source.live else read_ahead(source, _ahead(source.size)),
        )
        with closing(frames):
            if self.streaming is None or self.mode_for(source) == 'clip':
                yield from self._clips(frames, known)
            else:
                ahead = 0 if source.live else self.look_ahead
                yield from stream_video(self.streaming, frames, self.box, known, ahead, self.spare)

    def _clips(
        self, frames: Iterator[Frame], known: Iterable[FrameResult]
    ) -> Iterator[FrameResult]:
        return predict_video(
            self.model, frames, self.box, kpt_thr=self.kpt_thr, known=known, world=self.world
        )


def _ahead(size: tuple[int, int]) -> int:
    """Frames that may wait: at most 8, and of large ones half a gigabyte."""
    return max(1, min(8, (1 << 29) // (3 * size[0] * size[1])))
