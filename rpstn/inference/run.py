"""What `rpstn infer` does, one input after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from rich.console import Console

from rpstn.checkpoints import ModelError
from rpstn.engine.cpu import keep_freed_memory
from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.files import ExistsError, refuse_existing
from rpstn.locks import LockedError
from rpstn.names import hide_password, printable
from rpstn.pose.boxes import BoxError
from rpstn.pose.finders import build_finder
from rpstn.results import FrameResult
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import Source, expand_inputs, is_live, open_input
from rpstn.video.live import LiveSource
from rpstn.video.part import Part
from rpstn.video.readers import UnreadableFrameError

from .about import about_run
from .doubts import Doubts
from .inferencer import PoseInferencer
from .options import InferOptions
from .outputs import DrawnFile, Output, OutputError, Window, WindowClosed, ending, open_outputs
from .progress import ProgressLine
from .run_folder import RunError, RunFolder, folder_of, targets

# What can be wrong with the input: nothing is left of the results. After any other error, such as
# a full disk, they stay in the folder of the interrupted run.
_BAD_INPUT = (UnreadableFrameError, ModelError, BoxError, OutputError)


def infer(options: InferOptions, say: Callable[[str], None] = lambda line: None) -> None:
    """Look at all inputs, one after the other, and write what was asked for.

    Args:
        options: what is looked at, and how.
        say: takes lines on what was done.

    Raises:
        RPSTNError: after all inputs that can be used were done: a line on each that cannot.
        KeyboardInterrupt: with a line on what has become of the results.
    """
    InferRun(options, say).run()


class InferRun:
    """One call of :func:`infer`."""

    def __init__(self, options: InferOptions, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.console = Console(stderr=True)
        self.errors: list[str] = []
        # Frames of the present input, in the journal and done with, and seconds.
        self.journaled, self.done, self.took = 0, 0, 0.0
        self.doubts = Doubts()

    def run(self) -> None:
        """Do it; see :func:`infer`."""
        # One line of our own instead of FFmpeg's and OpenCV's many.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        cv2.setLogLevel(1)  # all but what ends the process
        self.options.check()
        sources = self._sources()
        if sources:
            try:
                inferencer = self._inferencer()
                self.say(f'computed by {inferencer.engine}')
                for text, source in sources:
                    self._infer(inferencer, text, source)
            except (RPSTNError, OSError) as error:
                self.errors.append(one_line(error))
        if self.errors:
            raise RPSTNError('\n'.join(self.errors))

    def _sources(self) -> list[tuple[str, Source | None]]:
        """Inputs that can be used, and their sources: None if live, for these are opened last."""
        args = self.options
        sources: list[tuple[str, Source | None]] = []
        names: dict[str, str] = {}
        texts: list[str] = []
        for given in args.inputs:
            try:
                texts += expand_inputs([given], self.say)
            except UnreadableFrameError as error:
                self.errors.append(one_line(error))
        for text in texts:
            try:
                if is_live(text):
                    sources.append((text, None))
                    continue
                source = open_input(text, args.fps, self.options.part)
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

    def _check_targets(self, source: Source) -> None:
        """Refuse what is in the way of the results, before anything takes time."""
        out = self.options.out
        if out is None:
            return
        names = self._names(source)
        if not isinstance(source, LiveSource) and source.path.exists():
            for target in (out / name for name in names):
                if target.exists() and target.samefile(source.path):
                    raise OutputError(f'{target}: would overwrite the input; choose another --out')
        if not self.options.overwrite:
            refuse_existing(targets(out, folder_of(out, source.name), names))

    def _names(self, source: Source) -> list[str]:
        """Of the files that are written of a source."""
        return [f'{source.name}{ending(output, source)}' for output in self.options.outputs]

    def _inferencer(self) -> PoseInferencer:
        args = self.options
        self.config, self.checkpoint = args.model_files()
        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        if device == 'cpu':
            keep_freed_memory()
        stream: dict[str, Any] = dict(max_people=args.people)
        if args.reset_every is not None:
            stream['reset_every'] = args.reset_every
        try:
            if args.finds is not None:
                stream['finder'] = build_finder(args.finds, **self._detector(device))
            return PoseInferencer(
                self.config,
                self.checkpoint,
                device,
                args.engine,
                args.precision,
                args.exported,
                'stream' if args.config is None and args.mode == 'auto' else args.mode,
                args.box,
                args.kpt_thr,
                args.smooths,
                stream,
                args.joints,
                look_ahead=args.look_ahead,
                spare=args.spares,
            )
        except (TypeError, ValueError) as error:  # options of filters and finders
            raise SettingError(one_line(error)) from error

    def _detector(self, device: str) -> dict:
        """What the command line says of the finder."""
        args = self.options
        if args.finds == 'blazepose':
            return dict(people=args.people, device=device if args.engine == 'torch' else 'cpu')
        if args.finds != 'rtmdet':
            return {}
        given = dict(config=args.det_model, checkpoint=args.det_weights, device=device)
        return {name: value for name, value in given.items() if value is not None}

    def _infer(self, inferencer: PoseInferencer, text: str, source: Source | None) -> None:
        """Look at one input."""
        folder = None
        try:
            if source is None:
                source = open_input(
                    text,
                    self.options.fps,
                    self.options.part,
                    5 if self.options.retries is None else self.options.retries,
                )
            if self.options.out is not None:
                if source.live:
                    self._check_targets(source)
                folder = RunFolder(
                    self.options.out,
                    source.name,
                    about_run(self.options, inferencer, text, source),
                    self.options.resume,
                )
        except (*_BAD_INPUT, RunError, ExistsError, LockedError) as error:
            self.errors.append(one_line(error))
            return
        with closing(folder) if folder else nullcontext():
            self._infer_into(folder, inferencer, text, source)

    def _infer_into(
        self, folder: RunFolder | None, inferencer: PoseInferencer, text: str, source: Source
    ) -> None:
        self.journaled, self.done, closed = 0, 0, False
        self.doubts = Doubts()
        try:
            with folder or nullcontext():
                self._look(inferencer, source, folder)
            if not self.done:
                raise UnreadableFrameError(f'{text}: no frame from --start to --end')
        except WindowClosed:
            closed = True
        except _BAD_INPUT as error:
            said = one_line(error)
            if isinstance(error, ModelError) and str(self.checkpoint) not in said:
                said = f'{self.checkpoint}, {text}: {said}'
            self.errors.append(said)
            if not source.live or not self.done:
                self._discard(folder)
                return
            # What a live stream has shown until it broke off is a result.
        except KeyboardInterrupt:
            if not source.live or not self.done:
                if folder is None or not self.journaled:
                    self._discard(folder)
                    raise KeyboardInterrupt('stopped; nothing was written') from None
                raise KeyboardInterrupt(
                    f'stopped after {self.journaled} frames, which are in {folder.folder}; with '
                    '--resume the run goes on'
                ) from None
        except OSError as error:
            if folder is None or not self.journaled:
                self._discard(folder)
                raise
            raise self._disk_error(error, source, folder) from error
        if folder is not None:
            try:
                folder.complete(self._names(source), self.options.overwrite)
            except OSError as error:
                raise self._disk_error(error, source, folder) from error
            self._report(source, folder.out, closed)

    def _disk_error(self, error: OSError, source: Source, folder: RunFolder) -> RPSTNError:
        """What is said where results cannot be written, on a full disk for one."""
        then = '' if source.live else '; with --resume the run goes on'
        kept = f'{self.journaled} frames are in {folder.folder}{then}'
        return RPSTNError(f'{one_line(error)}; {kept}')

    def _discard(self, folder: RunFolder | None) -> None:
        """Leave nothing of a run that came to nothing, but what an earlier one had reached."""
        if folder is not None and not folder.known:
            folder.discard()

    def _look(self, inferencer: PoseInferencer, source: Source, folder: RunFolder | None) -> None:
        """Take every frame of a source to every output."""
        args, meta = self.options, inferencer.dataset_meta
        fps = source.fps / args.stride
        names = [name for name in args.outputs if name != 'video']
        header = dict(
            video=printable(source.path.name if isinstance(source, FrameSource) else str(source)),
            fps=source.fps,
            size=source.size,
            config=printable(args.config or 'lite'),
            checkpoint=printable(hide_password(str(self.checkpoint))),
            box=args.box,
            mode=inferencer.mode_for(source),
            stride=args.stride,
            smooth=inferencer.smoothing(source.live),
            skeleton=meta['skeleton_links'],
        )
        began = time.perf_counter()
        with ExitStack() as stack:
            outputs: list[Output] = []
            drawn: list[Output] = []
            if folder is not None:
                stem = folder.folder / source.name
                outputs = open_outputs(stack, names, stem, source, meta, header)
                if 'video' in args.outputs:
                    path = Path(f'{stem}{ending("video", source)}')
                    file = stack.enter_context(DrawnFile(path, source, fps))
                    drawn.append(file)
                    if file.writer is not None and file.writer.codec == 'mpeg4':
                        self.say(
                            f'{path.name}: MPEG-4 Part 2, which browsers do not play, as this '
                            'FFmpeg has no encoder of H.264'
                        )
            if args.show:
                drawn.append(stack.enter_context(Window(source)))
            step = stack.enter_context(ProgressLine(self.console, source))
            known = () if folder is None else folder.results(inferencer.model.dataset_meta)
            raw = self._journaling(inferencer.raw(source, known), folder, bool(drawn))
            for result in inferencer.finish(raw, source.live):
                for output in outputs:
                    output.write(result)
                if drawn:
                    result.draw(kpt_thr=inferencer.kpt_thr)
                for output in drawn:
                    output.write(result)
                self.done += 1
                self.took = time.perf_counter() - began
                step(self.done / self.took)

    def _journaling(
        self, results: Iterable[FrameResult], folder: RunFolder | None, drawn: bool
    ) -> Iterator[FrameResult]:
        """The same, each of which is kept for ``--resume`` as it comes; with images to be drawn."""
        for result in results:
            if folder is not None:
                folder.write(result)
            self.journaled += 1
            self.doubts.add(result)
            yield result if drawn else replace(result, image=None)

    def _report(self, source: Source, out: Path, closed: bool) -> None:
        files = ', '.join(str(out / name) for name in self._names(source))
        rate = self.done / max(self.took, 1e-9)
        self.say(f'{self.done} frames, {rate:.1f} per second: {files}')
        if remark := str(self.doubts):
            self.say(f'{source.path if isinstance(source, FrameSource) else source}: {remark}')
        if isinstance(source, LiveSource):
            if source.dropped:
                self.say(
                    f'{source}: {source.dropped} frames came while the model was busy, and were '
                    'dropped'
                )
            if source.reconnected:
                self.say(f'{source}: the stream broke off and came back {source.reconnected} times')
        elif source.damage:
            self.errors.append(f'{source.path}: {source.damage}; all else is in the results')
        elif source.part == Part() and not closed and source.expected > self.done:
            self.say(
                f'{source.path}: the header states {source.expected} frames, '
                f'{self.done} could be decoded'
            )
