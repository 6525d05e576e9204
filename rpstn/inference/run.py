"""What `rpstn infer` does, one input after the other."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import cv2
import torch
from mmengine.config import Config, DictAction
from rich.console import Console

from rpstn.checkpoints import ModelError
from rpstn.engine.cpu import keep_freed_memory
from rpstn.engine.shipped import shipped_files
from rpstn.errors import one_line
from rpstn.pose.finders.person_finders import FinderError, build_finder
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import expand_inputs, is_live, open_input
from rpstn.video.live import LiveSource, hide_password
from rpstn.video.part import Moment, Part
from rpstn.video.readers import UnreadableFrameError

from .boxes import BoxError, parse_box
from .inferencer import PoseInferencer
from .outputs import DrawnFile, OutputError, Window, WindowClosed, draw_result, ending, open_outputs
from .progress import ProgressLine
from .run_folder import RunError, RunFolder

# What can be wrong with the input: nothing is left of the results. After any other error, such as
# a full disk, they stay in the folder of the interrupted run.
_BAD_INPUT = (UnreadableFrameError, ModelError, BoxError, OutputError)
_INTERRUPTED = 130


class InferRun:
    """One call of the command.

    Args:
        args: of :func:`rpstn.cli.infer.add_arguments`, and config
            and checkpoint, both None for the model that comes with the package.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.console = Console(stderr=True)
        self.errors: list[str] = []
        self.done, self.took = 0, 0.0  # frames of the present input, and seconds
        self.stopped = 'stopped; nothing was written'

    def run(self) -> int:
        """The exit status; messages of bad inputs are the message of SystemExit."""
        # One line of our own instead of FFmpeg's and OpenCV's many.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        cv2.setLogLevel(2)  # errors
        try:
            self._check()
            sources = self._sources()
            if not sources:
                raise SystemExit('\n'.join(self.errors))
            inferencer = self._inferencer()
            print(f'computed by {inferencer.engine}')
            for text, source in sources:
                self._infer(inferencer, text, source)
        except (*_BAD_INPUT, RunError, OSError) as error:
            self.errors.append(one_line(error))
        except KeyboardInterrupt:
            print(f'\n{self.stopped}', file=sys.stderr)
            return _INTERRUPTED
        if self.errors:
            raise SystemExit('\n'.join(self.errors))
        return 0

    def _check(self) -> None:
        args = self.args
        if args.out is None and not args.show:
            raise OutputError('--out is needed, the folder of the results (or --show)')
        if args.fps is not None and not 0 < args.fps <= 1000:
            raise OutputError(f'--fps must be above 0 and at most 1000, got {args.fps}')
        start, end = args.start or Moment(0), args.end
        if end is not None and end.seconds == start.seconds and end.value <= start.value:
            raise OutputError('--end must come after --start')
        if args.finder != 'rtmdet' and (args.det_model or args.det_weights):
            raise OutputError(
                '--det-model and --det-weights are of --finder rtmdet, got '
                f'--finder {args.finder or "frame"}'
            )
        if args.finder is not None and args.mode == 'clip':
            raise OutputError("--finder needs mode 'stream'")
        parse_box(args.box)
        if args.out is not None and args.out.exists() and not args.out.is_dir():
            raise OutputError(f'{args.out}: --out must be a folder')

    def _sources(self) -> list[tuple[str, FrameSource | str]]:
        """What can be opened; of the rest there is a message. Live sources are opened last."""
        args, sources, names = self.args, [], {}
        self.part = Part(args.start or Moment(0), args.end, args.stride)
        for text in expand_inputs(args.inputs):
            try:
                if is_live(text):
                    sources.append((text, text))
                    continue
                source = open_input(text, args.fps, self.part)
                other = names.setdefault(source.name, text)
                if other != text and args.out is not None:
                    raise OutputError(
                        f'{text}: its results would be named as those of {other}; '
                        'use another --out for one of them'
                    )
                self._check_targets(source)
                sources.append((text, source))
            except (*_BAD_INPUT, OSError) as error:
                self.errors.append(one_line(error))
        return sources

    def _check_targets(self, source: FrameSource) -> None:
        for output in self.args.save if self.args.out is not None else ():
            target = self.args.out / f'{source.name}{ending(output, source)}'
            if target.exists() and source.path.exists() and target.samefile(source.path):
                raise OutputError(f'{target}: would overwrite the input; choose another --out')

    def _inferencer(self) -> PoseInferencer:
        args = self.args
        if args.config is None:
            args.config = 'lite'
            config, args.checkpoint = shipped_files(args.config)
            args.mode = 'stream' if args.mode == 'auto' else args.mode
        elif Path(args.config).is_file():
            config = Config.fromfile(args.config)
        else:
            raise ModelError(f'{args.config}: no such config file')
        config.merge_from_dict(_settings(args.cfg_options, '--cfg-options'))
        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        if device == 'cpu':
            keep_freed_memory()
        smooth = False if args.smooth is None else _settings(args.smooth, '--smooth')
        stream = dict(max_people=args.people)
        if args.reset_every is not None:
            stream['reset_every'] = args.reset_every
        try:
            if args.finder is not None:
                stream['finder'] = build_finder(args.finder, **self._detector(device))
            return PoseInferencer(
                config,
                args.checkpoint,
                device,
                args.engine,
                args.precision,
                args.exported,
                args.mode,
                args.box,
                args.kpt_thr,
                smooth,
                stream,
                args.joints,
            )
        except (FinderError, TypeError, ValueError) as error:
            raise ModelError(one_line(error)) from None

    def _detector(self, device: str) -> dict:
        """What the command line says of the finder."""
        args = self.args
        if args.finder != 'rtmdet':
            return {}
        given = dict(config=args.det_model, checkpoint=args.det_weights, device=device)
        return {name: value for name, value in given.items() if value is not None}

    def _infer(self, inferencer: PoseInferencer, text: str, source: FrameSource | str) -> None:
        """Look at one input."""
        folder = None
        try:
            if isinstance(source, str):
                source = open_input(source, self.args.fps, self.part, self.args.retries)
            if self.args.out is not None:
                folder = RunFolder(
                    self.args.out,
                    source.name,
                    self._about(inferencer, text, source),
                    self.args.resume,
                )
        except (*_BAD_INPUT, RunError) as error:
            self.errors.append(one_line(error))
            return
        self.done, closed = 0, False
        try:
            with folder or nullcontext():
                self._look(inferencer, source, folder)
            if not self.done:
                raise UnreadableFrameError(f'{text}: no frame from --start to --end')
        except WindowClosed:
            closed = True
        except _BAD_INPUT as error:
            self.errors.append(one_line(error))
            if not source.live or not self.done:
                self._discard(folder)
                return
            # What a live stream has shown until it broke off is a result.
        except KeyboardInterrupt:
            if not source.live or not self.done:
                if folder is not None and self.done:
                    self.stopped = (
                        f'stopped after {self.done} frames, which are in '
                        f'{folder.folder}; with --resume the run goes on'
                    )
                else:
                    self._discard(folder)
                raise
        if folder is not None:
            folder.complete()
            self._report(source, closed)

    def _discard(self, folder: RunFolder | None) -> None:
        """Leave nothing of a run that came to nothing, but what an earlier one had reached."""
        if folder is not None and not folder.known:
            folder.discard()

    def _about(
        self, inferencer: PoseInferencer, text: str, source: FrameSource | LiveSource
    ) -> dict:
        """All that the bare results of a run depend on."""
        args = self.args
        about = dict(
            input=hide_password(text) if source.live else str(Path(text).absolute()),
            size=list(source.size),
            config=inferencer.model.cfg.pretty_text,
            checkpoint=_file_or_name(args.checkpoint),
            box=args.box,
            kpt_thr=args.kpt_thr,
            mode=inferencer.mode_for(source),
            engine=args.engine,
            people=args.people,
            finder=args.finder,
            precision=getattr(inferencer.stepper, 'precision', args.precision),
            reset_every=args.reset_every,
            fps=args.fps,
            start=vars(self.part.start),
            end=self.part.end and vars(self.part.end),
            stride=self.part.stride,
        )
        if args.finder == 'rtmdet':
            about['detector'] = [_file_or_name(args.det_model), _file_or_name(args.det_weights)]
        if not source.live:
            files = source.images or (str(source.path),)
            about['bytes'] = sum(map(os.path.getsize, files))
            about['files'] = len(files)
        return about

    def _look(
        self, inferencer: PoseInferencer, source: FrameSource | LiveSource, folder: RunFolder | None
    ) -> None:
        """Take every frame of a source to every output."""
        args, meta = self.args, inferencer.dataset_meta
        fps = source.fps / args.stride
        names = [name for name in dict.fromkeys(args.save) if name != 'video']
        header = dict(
            video=hide_password(str(source)) if source.live else source.path.name,
            fps=source.fps,
            size=source.size,
            config=args.config,
            checkpoint=str(args.checkpoint),
            box=args.box,
            mode=inferencer.mode_for(source),
            stride=args.stride,
            smooth=inferencer.smooth,
            skeleton=meta['skeleton_links'],
        )
        began = time.perf_counter()
        finish = inferencer.finisher()
        with ExitStack() as stack:
            outputs, drawn = [], []
            if folder is not None:
                stem = folder.folder / source.name
                outputs = open_outputs(stack, names, stem, source, meta, header)
                if 'video' in args.save:
                    path = Path(f'{stem}{ending("video", source)}')
                    drawn.append(stack.enter_context(DrawnFile(path, source, fps)))
            if args.show:
                drawn.append(stack.enter_context(Window(source)))
            step = stack.enter_context(ProgressLine(self.console, source))
            for result in inferencer.raw(source, folder.results() if folder is not None else ()):
                if folder is not None:
                    folder.write(result)
                result = finish(result)
                for output in outputs:
                    output.write(result)
                if drawn:
                    draw_result(result, meta, args.kpt_thr)
                for output in drawn:
                    output.write(result)
                self.done += 1
                self.took = time.perf_counter() - began
                step(self.done / self.took)

    def _report(self, source: FrameSource | LiveSource, closed: bool) -> None:
        files = ', '.join(
            str(self.args.out / f'{source.name}{ending(output, source)}')
            for output in dict.fromkeys(self.args.save)
        )
        rate = self.done / max(self.took, 1e-9)
        print(f'{self.done} frames, {rate:.1f} per second: {files}')
        if source.live and source.dropped:
            print(
                f'{source}: {source.dropped} frames came while the model was busy, and were dropped'
            )
        if source.live and source.reconnected:
            print(f'{source}: the stream broke off and came back {source.reconnected} times')
        whole = not source.live and source.part == Part() and not closed
        if whole and source.expected > self.done:
            print(
                f'{source.path}: the header states {source.expected} frames, '
                f'{self.done} could be decoded'
            )


def _settings(pairs: list[str], option: str) -> dict:
    """A dict out of key=value."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition('=')
        if not (key and equals):
            raise OutputError(f'{option} must be key=value, got {pair!r}')
        settings[key] = DictAction._parse_iterable(value)
    return settings


def _file_or_name(text: str | Path | None) -> list | str | None:
    """What tells a file from another: its path and bytes; of a name or URL itself."""
    if text is None or not Path(text).is_file():
        return text
    return [str(Path(text).absolute()), os.path.getsize(text)]
