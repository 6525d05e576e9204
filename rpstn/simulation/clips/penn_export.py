"""Writes rendered frames for Penn Action's labels, in Penn Action's own layout."""

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from rpstn.drawing import encode_image
from rpstn.errors import RPSTNError, SettingError
from rpstn.files import replacing, write_text
from rpstn.pose.datasets.penn_action import RENDERED_MARKER as MARKER
from rpstn.pose.datasets.penn_action import PennActionDataset
from rpstn.pose.datasets.sequence import PoseSequence

from .annotated import render_sequence

_NOTICE = """\
The frames in this folder are NOT the photographs of the Penn Action data set.

tools/data/render_penn.py drew them from the data set's joint annotations: an artificial person
whose joints lie where the labels say, before an artificial background. They serve to run and test
the code where the original frames are not at hand. Figures measured on them say nothing about
real video and must not be reported as results on Penn Action.
"""


class RealFramesError(RPSTNError, RuntimeError):
    """A folder to be written holds frames that may be real ones; it was left as it is."""


def prepare(out: Path) -> Path:
    """Makes `out`/frames and marks it as rendered.

    Raises:
        RealFramesError: it holds anything but is not marked.
    """
    frames = out / 'frames'
    _check_rendered(frames)
    frames.mkdir(parents=True, exist_ok=True)
    write_text(frames / MARKER, _NOTICE)
    return frames


def _check_rendered(folder: Path) -> None:
    """Refuses, with a RealFramesError, a folder that holds anything but is not marked."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise RealFramesError(
            f'{folder}: holds frames without {MARKER}, so they may be the real ones of Penn '
            'Action; rendered frames go only to an empty or a marked folder. Choose another --out.'
        )


def _remove_rendered(folder: Path) -> None:
    """Deletes a sequence's rendered frames, if there are any.

    Raises:
        RealFramesError: they may not have been rendered.
    """
    _check_rendered(folder)
    if folder.exists():
        shutil.rmtree(folder)


def select(root: Path, wanted: Sequence[str] = ()) -> list[PoseSequence]:
    """The annotated sequences of a Penn Action folder; its frames are not needed.

    Args:
        wanted: names of sequences, or one number: how many, evenly spread over the sorted names,
            whose neighbours show one action; all if empty.

    Raises:
        SettingError: a name that no label file has, or the number 0.
    """
    dataset = PennActionDataset(
        data_root=str(root), subset='all', check_frames=False, start='fixed'
    )
    sequences = {
        s.name: s for s in map(dataset.sequences.__getitem__, range(len(dataset.sequences)))
    }
    if not wanted:
        return list(sequences.values())
    if len(wanted) == 1 and wanted[0] not in sequences and wanted[0].isdigit():
        return _spread([sequences[name] for name in sorted(sequences)], int(wanted[0]))
    unknown = [name for name in wanted if name not in sequences]
    if unknown:
        raise SettingError(
            f'{root / "labels"}: no usable sequence is called '
            f'{", ".join(unknown)}; names are like {next(iter(sequences))}'
        )
    return [sequences[name] for name in wanted]


def _spread(items: list, count: int) -> list:
    """So many of the items, from the first to the last in even steps."""
    if count < 1:
        raise SettingError(f'the number of sequences must be at least 1, got {count}')
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in chosen]


def is_complete(folder: Path, num_frames: int) -> bool:
    """Whether every frame of a sequence is there."""
    if not folder.is_dir():
        return False
    present = set(os.listdir(folder))
    return all(f'{t:06d}.jpg' in present for t in range(1, num_frames + 1))


def write_sequence(sequence: PoseSequence, frames: Path, seed: int = 0, quality: int = 92) -> int:
    """Renders one sequence to `frames`/NNNN; the folder appears only when it is complete.

    It is marked as rendered, and takes the place only of another that is.

    Returns:
        the number of frames.

    Raises:
        RealFramesError: `frames`/NNNN holds frames that are not marked.
        SettingError: the sequence does not say how large its frames are.
    """
    if sequence.image_size is None:
        raise SettingError(f'{sequence.name}: image_size must be known to draw its frames')
    cv2.setNumThreads(1)  # the worker processes share the cores
    target = frames / sequence.name
    partial = frames / f'.{sequence.name}.partial'
    _check_rendered(target)
    _remove_rendered(partial)
    partial.mkdir(parents=True)
    (partial / MARKER).write_text(_NOTICE)
    number = int.from_bytes(sequence.name.encode()[:16], 'big')
    pictures = render_sequence(
        sequence.keypoints,
        sequence.labelled,
        sequence.occluded,
        sequence.image_size,
        (seed, number),
    )
    for t, picture in enumerate(pictures, 1):
        path = partial / f'{t:06d}.jpg'
        path.write_bytes(encode_image(path, picture, quality))
    _remove_rendered(target)
    partial.rename(target)
    return len(sequence)


def export(
    root: Path,
    out: Path,
    sequences: Sequence[PoseSequence],
    overwrite: bool = False,
    workers: int = 1,
    seed: int = 0,
) -> Iterator[tuple[str, int, bool]]:
    """Writes labels and rendered frames of the sequences to `out`.

    Args:
        root: where the labels are (`root`/labels/NNNN.mat). out: a data root like it.
        overwrite: render again what is already complete.
        workers: processes; 1 renders in this one.

    Yields:
        name, number of frames, and whether they were rendered now, as each is done.

    Raises:
        RealFramesError: see :func:`prepare` and :func:`write_sequence`; nothing was written.
    """
    for sequence in sequences:
        folder = out / 'frames' / sequence.name
        if overwrite or not is_complete(folder, len(sequence)):
            _check_rendered(folder)
    frames = prepare(out)
    (out / 'labels').mkdir(exist_ok=True)
    todo = []
    for sequence in sequences:
        label, copy = root / 'labels' / f'{sequence.name}.mat', out / 'labels'
        copy = copy / label.name
        if not copy.exists():
            with replacing(copy) as partial:
                shutil.copyfile(label, partial)
        if not overwrite and is_complete(frames / sequence.name, len(sequence)):
            yield sequence.name, len(sequence), False
        else:
            todo.append(sequence)
    if workers <= 1:
        for sequence in todo:
            yield sequence.name, write_sequence(sequence, frames, seed), True
        return
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        jobs = {pool.submit(write_sequence, s, frames, seed): s.name for s in todo}
        for job in as_completed(jobs):
            yield jobs[job], job.result(), True
