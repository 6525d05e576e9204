"""Joints as files, written frame by frame.

CSV (NAME.csv): one row per joint, person and frame, with the columns

    frame   0-based
    time    seconds since the first frame of the video; none where frames come without a clock
    person  number of the person, the same through the video
    joint   its name
    x, y    pixels of the video, 0-based, at the centre of a pixel; may lie outside of it
    score   by RPSTN-Lite the share of joints of such a score that are right, by other models the
            height of the heatmap's peak, about 1 where the model is sure; with 0 or less nothing
            was found, and x, y mean nothing

JSON (NAME.json): the same figures by frame, as one object:

    video, fps, size [width, height], joints [K names], skeleton [pairs of joint indices], kpt_thr,
        and what else the caller adds
    frames  one {frame, time, person, state, box [x1, y1, x2, y2], rotation, keypoints [K times
            [x, y, score]]} per person and frame, each on a line of its own; {frame, time} where
            nobody was found

NPZ (NAME.npz): rows N, one per person and frame: frame (N,), time (N,), person (N,), box (N, 4),
keypoints (N, K, 2), scores (N, K); and joints (K,), fps, image_size (2,) width and height, kpt_thr.

COCO (NAME.coco.json): COCO's list of keypoint results, {image_id: the frame, category_id: 1,
keypoints: [x, y, score, ...], score: the mean of those that are not 0}, and the key track_id.

MMPose (NAME.mmpose.json): what MMPose's demos write of a video, {meta_info, instance_info:
[{frame_id: the frame, instances: [{keypoints [K [x, y]], keypoint_scores [K], bbox [[x1, y1, x2,
y2]], bbox_score}]}]}, and the key track_id.

`kpt_thr` is the score from which the model's joints are trusted unless somebody says otherwise; in
files without it, as all others are, and those of older versions, :data:`rpstn.choices.KPT_THR`.

`box` is what the frame was cut out by, before the padding that the config adds; of models that look
at upright bodies it is the box of the sure joints, and `rotation` the degrees by which the crop was
turned clockwise. All but the NPZ are whole, readable files after every frame.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from rpstn.choices import KPT_THR
from rpstn.files import naming, replacing
from rpstn.growing_files import GrowingFile
from rpstn.results import FrameResult, PersonResult

COLUMNS = ('frame', 'time', 'person', 'joint', 'x', 'y', 'score')


class CsvFile:
    """Writes the CSV; use it in a ``with`` statement, as all classes here.

    Args:
        path: of the file.
        joints: K names.
    """

    def __init__(self, path: Path, joints: list[str]) -> None:
        self.joints = joints
        self._file = GrowingFile(path, _table([COLUMNS]))

    def write(self, result: FrameResult) -> None:
        """Append one frame."""
        rows = [
            (result.index, _seconds(result), person.id, joint, *values)
            for person in result.people
            for joint, values in zip(self.joints, _keypoints(person), strict=True)
        ]
        if rows:
            self._file.append(_table(rows))

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


class JsonList:
    """A JSON file that ends in a list, one entry a line, and is whole after every :meth:`append`.

    Each entry is written together with the file's end, which the next one overwrites.

    Args:
        path: of the file.
        head: what the file says before the list; none makes the list the file.
        name: of the list.
    """

    def __init__(self, path: Path, head: dict | None = None, name: str = 'frames') -> None:
        start, end = '[', b'\n]\n'
        if head is not None:
            start = (
                '{\n'
                + ''.join(
                    f' {json.dumps(key)}: {json.dumps(value)},\n' for key, value in head.items()
                )
                + f' {json.dumps(name)}: ['
            )
            end = b'\n ]\n}\n'
        self._file = GrowingFile(path, start.encode(), end)
        self._first = True

    def append(self, entries: list[dict]) -> None:
        """Append entries, all or nothing."""
        if not entries:
            return
        lines = ',\n  '.join(json.dumps(entry, allow_nan=False) for entry in entries)
        before = '\n  ' if self._first else ',\n  '
        self._file.append(f'{before}{lines}'.encode())
        self._first = False

    def __exit__(self, *error: object) -> None:
        self._file.close()


class PoseJson(JsonList):
    """Writes the JSON.

    Args:
        path: of the file.
        joints: K names.
        header: what the file says besides ``joints`` and ``frames``.
    """

    def __init__(self, path: Path, joints: list[str], header: dict) -> None:
        super().__init__(path, dict(header, joints=joints))

    def write(self, result: FrameResult) -> None:
        """Append one frame."""
        about = dict(frame=result.index, time=_seconds(result))
        self.append(
            [
                dict(
                    about,
                    person=person.id,
                    state=person.state,
                    box=_box(person),
                    rotation=round(person.rotation, 2),
                    keypoints=_keypoints(person),
                )
                for person in result.people
            ]
            or [about]
        )

    def __enter__(self) -> PoseJson:
        return self


class CocoJson(JsonList):
    """Writes COCO's results."""

    def write(self, result: FrameResult) -> None:
        """Append one frame."""
        self.append(
            [
                dict(
                    image_id=result.index,
                    category_id=1,
                    keypoints=[v for joint in _keypoints(person) for v in joint],
                    score=_mean_score(person.scores),
                    track_id=person.id,
                )
                for person in result.people
            ]
        )

    def __enter__(self) -> CocoJson:
        return self


class MMPoseJson(JsonList):
    """Writes what MMPose's demos do.

    Args:
        path: of the file.
        meta: MMPose's data set meta.
    """

    def __init__(self, path: Path, meta: dict) -> None:
        plain = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in meta.items()
        }
        super().__init__(path, dict(meta_info=plain), 'instance_info')

    def write(self, result: FrameResult) -> None:
        """Append one frame."""
        instances = []
        for person in result.people:
            joints = _keypoints(person)
            instances.append(
                dict(
                    keypoints=[joint[:2] for joint in joints],
                    keypoint_scores=[joint[2] for joint in joints],
                    bbox=[_box(person)],
                    bbox_score=1.0,
                    track_id=person.id,
                )
            )
        self.append([dict(frame_id=result.index, instances=instances)])

    def __enter__(self) -> MMPoseJson:
        return self


class NpzFile:
    """Writes the NPZ, at the end; until then its columns lie in nameless files on the disk.

    Args:
        path: of the file.
        joints: K names.
        fps, size: of the video, (width, height).
        kpt_thr: score from which joints are trusted.
    """

    def __init__(
        self,
        path: Path,
        joints: list[str],
        fps: float,
        size: tuple[int, int],
        kpt_thr: float = KPT_THR,
    ) -> None:
        self.path = path
        count = len(joints)
        self._columns = dict(
            frame=('i8', ()),
            time=('f8', ()),
            person=('i8', ()),
            box=('f4', (4,)),
            keypoints=('f4', (count, 2)),
            scores=('f4', (count,)),
        )
        self._constants = dict(
            joints=np.array(joints),
            fps=np.float64(fps),
            image_size=np.array(size),
            kpt_thr=np.float64(kpt_thr),
        )
        with naming(path):
            self._files = {name: tempfile.TemporaryFile(dir=path.parent) for name in self._columns}
        self._rows = 0

    def write(self, result: FrameResult) -> None:
        """Append one frame."""
        for person in result.people:
            row = dict(
                frame=result.index,
                time=result.time,
                person=person.id,
                box=person.box,
                keypoints=person.keypoints,
                scores=person.scores,
            )
            with naming(self.path):
                for name, (dtype, shape) in self._columns.items():
                    self._files[name].write(
                        np.asarray(row[name]).astype(f'<{dtype}').reshape(shape).tobytes()
                    )
            self._rows += 1

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *error: object) -> None:
        with (
            replacing(self.path) as partial,
            zipfile.ZipFile(partial, 'w', zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, array in self._constants.items():
                with archive.open(f'{name}.npy', 'w') as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            for name, (dtype, shape) in self._columns.items():
                header = dict(descr=f'<{dtype}', fortran_order=False, shape=(self._rows, *shape))
                with (
                    self._files[name] as column,
                    archive.open(f'{name}.npy', 'w', force_zip64=True) as member,
                ):
                    np.lib.format.write_array_header_1_0(member, header)
                    column.seek(0)
                    shutil.copyfileobj(column, member)


def _table(rows: list[tuple]) -> bytes:
    """Lines of a CSV: UTF-8 whatever the system's default, with the ends the csv module sets."""
    text = io.StringIO(newline='')
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _seconds(result: FrameResult) -> float | None:
    """None where frames come without a clock."""
    return None if math.isnan(result.time) else round(result.time, 6)


def _mean_score(scores: np.ndarray) -> float:
    """Of the joints that the model tells."""
    told = scores[scores != 0]
    return round(float(told.mean()), 4) if len(told) else 0.0


def _box(person: PersonResult) -> list[float]:
    return [round(float(v), 2) for v in person.box]


def _keypoints(person: PersonResult) -> list[list[float]]:
    """K times [x, y, score]; a hundredth of a pixel is enough for anybody."""
    return [
        [round(float(x), 2), round(float(y), 2), round(float(score), 4)]
        for (x, y), score in zip(person.keypoints, person.scores, strict=True)
    ]
