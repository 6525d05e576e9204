"""An assessment written down: one page of HTML without network, files, an annotated video."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rpstn.files import staging
from rpstn.form.angle_table import angle_of
from rpstn.form.findings import CONFIRMED, UNSEEN
from rpstn.form.ranges import load_ranges
from rpstn.version import __version__
from rpstn.video.frames import Frame, FrameSource, VideoWriter
from rpstn.video.readahead import read_ahead

from .exports import write_angles, write_json, write_trc
from .forms import in_words
from .matrix import distance_matrix, leaning_in_words
from .measures import MOMENTS, consistency, measure_repetitions, tempo
from .pictures import Painter
from .plots import curve
from .structures import Assessment

PAGE, DATA, TABLE, MARKERS, VIDEO = (
    'report.html', 'report.json', 'angles.csv', 'joints.trc', 'video.mp4'
)  # fmt: skip
FILES = (PAGE, DATA, TABLE, MARKERS, VIDEO)
_CURVES = 6
_HEIGHT = 360  # pixels, of a picture
_SCALES = dict(
    nominal='taken to be those of a body of average size',
    height="scaled to the stated height of the person's body",
    metric='measured',
)


@dataclass(frozen=True)
class Picture:
    """One picture of the page.

    Attributes:
        data: a ``data:`` URL.
        size: width and height, pixels.
        alt: what it shows.
    """

    data: str
    size: tuple[int, int]
    alt: str


def write_report(
    assessment: Assessment,
    source: FrameSource | None,
    folder: str | Path,
    blur_faces: bool = False,
    video: bool = True,
) -> Path:
    """Write everything, whole or not at all.

    Args:
        assessment: of the source.
        source: the video, which is read once more for its pictures; None of joints from a file.
        folder: of the results, :data:`FILES`; those of a former report are replaced, or removed.
        blur_faces: in pictures and video.
        video: whether the annotated video is written; it takes longest.

    Returns:
        The page.

    Raises:
        OSError: the folder cannot be written. UnreadableFrameError: the video cannot be read.
    """
    with staging(folder) as hidden:
        pictures, target = {}, None
        if source is not None:
            target = hidden / VIDEO if video and assessment.track is not None else None
            pictures = _paint(Painter(assessment, blur_faces), source, target)
        files = [PAGE, DATA]
        write_json(assessment, hidden / DATA)
        if assessment.joints is not None:
            write_angles(assessment, hidden / TABLE)
            write_trc(assessment, hidden / MARKERS)
            files += [TABLE, MARKERS]
        if target is not None:
            files.append(VIDEO)
        page = render(assessment, pictures, files, blur_faces)
        (hidden / PAGE).write_text(page, encoding='utf-8')
    for name in set(FILES) - set(files):
        (Path(folder) / name).unlink(missing_ok=True)
    return Path(folder) / PAGE


def render(
    assessment: Assessment,
    pictures: Mapping[int, Picture],
    files: list[str],
    blur_faces: bool = False,
) -> str:
    """The page.

    Args:
        pictures: by frame of the video: those of :func:`picture_frames`, as far as there are.
        files: that lie beside it.
    """
    environment = Environment(
        loader=PackageLoader('rpstn.assess'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ranges = load_ranges(assessment.exercise.ranges)
    return environment.get_template('report.html.j2').render(
        a=assessment,
        version=__version__,
        cue=next((one for one in assessment.faults if one.cue), None),
        confirmed=CONFIRMED,
        faults=assessment.faults,
        learned=ranges.source if ranges else '',
        unseen=[one for one in assessment.findings if one.status == UNSEEN],
        angle_of=angle_of,
        pictures=pictures,
        shown=_shown(assessment),
        files=files,
        blurred=blur_faces,
        **(_numbers(assessment) if assessment.repetitions else _NO_NUMBERS),
        in_words=in_words,
        scale=assessment.joints and _SCALES.get(assessment.joints.scale, ''),
    )


_NO_NUMBERS: dict[str, Any] = dict(
    measures=[],
    tempo=[],
    curves=[],
    matrix='',
    leaning=[],
    consistency=consistency,
    moments=MOMENTS,
)


def _numbers(assessment: Assessment) -> dict[str, Any]:
    measures = [one for one in measure_repetitions(assessment) if one.visible]
    # Made by matplotlib of numbers, and of words that are escaped.
    curves = [Markup(curve(assessment, one)) for one in measures[:_CURVES]]
    return dict(
        measures=measures,
        tempo=tempo(assessment),
        curves=curves,
        matrix=Markup(distance_matrix(assessment)),
        leaning=leaning_in_words(assessment),
        consistency=consistency,
        moments=MOMENTS,
    )


def _shown(assessment: Assessment) -> list[list[tuple[str, int, int]]]:
    """Of every repetition: the phase's name, row and frame of each picture."""
    track = assessment.track
    if track is None:
        return []
    return [
        [(name, getattr(one, name), int(track.frames[getattr(one, name)])) for name in _PHASES]
        for one in assessment.repetitions
    ]


_PHASES = ('start', 'bottom', 'end')


def picture_frames(assessment: Assessment) -> dict[int, str]:
    """Frame of the video -> what its picture shows; the middle one where nothing was counted."""
    track = assessment.track
    if track is None:
        return {}
    shown = _shown(assessment)
    if not shown:
        seen = np.flatnonzero((track.scores > 0).any(1))
        return {int(track.frames[seen[len(seen) // 2]]): 'The person who was followed'}
    # Of a frame that ends one repetition and starts the next the words do not matter much.
    return {
        frame: f'{name.capitalize()} of repetition {number}, the skeleton drawn'
        for number, phases in enumerate(shown, 1)
        for name, _, frame in phases
    }


def _paint(painter: Painter, source: FrameSource, target: Path | None) -> dict[int, Picture]:
    """Read the video once more, for its pictures and the annotated video."""
    wanted = picture_frames(painter.assessment)
    pictures: dict[int, Picture] = {}
    if target is None and not wanted:
        return pictures
    last = max(wanted, default=0)
    with ExitStack() as stack:
        writer = None
        if target is not None:
            writer = stack.enter_context(VideoWriter(target, source.fps, painter.size))
        frames = cast('Generator[Frame, None, None]', read_ahead(source))
        for frame in stack.enter_context(closing(frames)):
            if frame.index in wanted:
                image = painter(frame.image, frame.index, caption=False)[painter.crop]
                pictures[frame.index] = _picture(image, wanted[frame.index])
            if writer is not None:
                writer.write(painter(frame.image, frame.index))
            elif frame.index >= last:
                break
    return pictures


def _picture(image: np.ndarray, alt: str) -> Picture:
    share = _HEIGHT / image.shape[0]
    if share < 1:
        image = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 82])
    data = base64.b64encode(coded.tobytes()).decode('ascii')
    return Picture(f'data:image/jpeg;base64,{data}', (image.shape[1], image.shape[0]), alt)
