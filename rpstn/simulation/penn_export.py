"""Writes rendered frames for Penn Action's labels, in Penn Action's own layout."""
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2

from rpstn.pose.datasets.penn_action import PennActionDataset
from rpstn.pose.datasets.sequence import PoseSequence

from .annotated import render_sequence

MARKER = 'RENDERED.txt'
_NOTICE = """\
The frames in this folder are NOT the photographs of the Penn Action data set.

tools/render_penn.py drew them from the data set's joint annotations: an artificial person whose
joints lie where the labels say, before an artificial background. They serve to run and test the
code where the original frames are not at hand. Figures measured on them say nothing about
real video and must not be reported as results on Penn Action.
"""


class RealFramesError(RuntimeError):
    """The output folder holds frames that were not rendered; nothing was written."""


def prepare(out: Path) -> Path:
    """Makes `out`/frames and marks it as rendered.

    Raises:
        RealFramesError: it holds anything but is not marked.
    """
    frames = out / 'frames'
    if frames.exists() and any(frames.iterdir()) and not (frames / MARKER).exists():
        raise RealFramesError(
            f'{frames}: holds frames without {MARKER}, so they may be the real ones of Penn '
            'Action; rendered frames go only to an empty or a marked folder. Choose another --out.')
    frames.mkdir(parents=True, exist_ok=True)
    (frames / MARKER).write_text(_NOTICE)
    return frames


def select(root: Path, wanted: Sequence[str] = ()) -> list[PoseSequence]:
    """The annotated sequences of a Penn Action folder; its frames are not needed.

    Args:
        wanted: names of sequences, or one number: how many, from the first; all if empty.

    Raises:
        ValueError: a name that no label file has.
    """
    dataset = PennActionDataset(data_root=str(root), split='all', check_frames=False,
                                start='fixed')
    sequences = {s.name: s for s in map(dataset.sequences.__getitem__,
                                        range(len(dataset.sequences)))}
    if not wanted:
        return list(sequences.values())
    if len(wanted) == 1 and wanted[0] not in sequences and wanted[0].isdigit():
        return list(sequences.values())[:int(wanted[0])]
    unknown = [name for name in wanted if name not in sequences]
    if unknown:
        raise ValueError(f'{root / "labels"}: no usable sequence is called '
                         f'{", ".join(unknown)}; names are like {next(iter(sequences))}')
    return [sequences[name] for name in wanted]


def is_complete(folder: Path, num_frames: int) -> bool:
    """Whether every frame of a sequence is there."""
    if not folder.is_dir():
        return False
    present = set(os.listdir(folder))
    return all(f'{t:06d}.jpg' in present for t in range(1, num_frames + 1))


def write_sequence(sequence: PoseSequence, frames: Path, seed: int = 0,
                   quality: int = 92) -> int:
    """Renders one sequence to `frames`/NNNN; the folder appears only when it is complete.

    Returns:
        the number of frames.
    """
    cv2.setNumThreads(1)  # the worker processes share the cores
    target = frames / sequence.name
    partial = frames / f'.{sequence.name}.partial'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    number = int.from_bytes(sequence.name.encode()[:16], 'big')
    pictures = render_sequence(sequence.keypoints, sequence.labelled, sequence.occluded,
                               sequence.image_size, (seed, number))
    for t, picture in enumerate(pictures, 1):
        path = partial / f'{t:06d}.jpg'
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality]):
            raise OSError(f'{path}: the frame could not be written')
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return len(sequence)


def export(root: Path, out: Path, sequences: Sequence[PoseSequence], overwrite: bool = False,
           workers: int = 1, seed: int = 0) -> Iterator[tuple[str, int, bool]]:
    """Writes labels and rendered frames of the sequences to `out`.

    Args:
        root: where the labels are (`root`/labels/NNNN.mat). out: a data root like it.
        overwrite: render again what is already complete.
        workers: processes; 1 renders in this one.

    Yields:
        name, number of frames, and whether they were rendered now, as each is done.

    Raises:
        RealFramesError: see :func:`prepare`.
    """
    frames = prepare(out)
    (out / 'labels').mkdir(exist_ok=True)
    todo = []
    for sequence in sequences:
        label, copy = root / 'labels' / f'{sequence.name}.mat', out / 'labels'
        copy = copy / label.name
        if not copy.exists():
            shutil.copyfile(label, copy)
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
