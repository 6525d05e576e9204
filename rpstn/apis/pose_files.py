"""Joints of a video as JSON and CSV, written frame by frame.

CSV: one row per joint and frame, with the columns

    frame   0-based
    time    seconds since the first frame
    joint   its name
    x, y    pixels of the video, 0-based, at the centre of a pixel; may lie outside of it
    score   the height of the heatmap's peak, about 1 where the model is sure; with 0 or less
            nothing was found, and x, y mean nothing

JSON: the same figures by frame, as one object:

    video, fps, size [width, height], joints [K names], skeleton [pairs of joint indices], and what
        the caller adds
    frames  a list of {frame, time, box [x1, y1, x2, y2], keypoints [K times [x, y, score]]}

`box` is what the frame was cut out by, before the padding that the config adds.
"""
from __future__ import annotations

import csv
import json
from pathlib import Path

from .inference import FramePose

COLUMNS = ('frame', 'time', 'joint', 'x', 'y', 'score')


class PoseFiles:
    """Writes ``<stem>.json`` and ``<stem>.csv``; use it in a ``with`` statement.

    Args:
        stem (Path): of both files, with their folder.
        joints (list[str]): K names.
        header (dict): what the JSON file says besides ``joints`` and ``frames``.
    """

    def __init__(self, stem: Path, joints: list[str], header: dict) -> None:
        self.joints = joints
        # UTF-8 whatever the system's default, and the line ends that the csv module sets.
        self._json = open(f'{stem}.json', 'w', encoding='utf-8')
        self._csv = open(f'{stem}.csv', 'w', encoding='utf-8', newline='')
        self._rows = csv.writer(self._csv)
        self._rows.writerow(COLUMNS)
        head = json.dumps(dict(header, joints=joints), indent=1)
        self._json.write(head.removesuffix('\n}') + ',\n "frames": [')
        self._separator = '\n  '

    def write(self, pose: FramePose) -> None:
        """Append one frame."""
        time = round(pose.time, 6)
        keypoints = [[round(float(x), 2), round(float(y), 2), round(float(score), 4)]
                     for (x, y), score in zip(pose.keypoints, pose.scores, strict=True)]
        box = [round(float(v), 2) for v in pose.box]
        record = dict(frame=pose.index, time=time, box=box, keypoints=keypoints)
        self._json.write(self._separator + json.dumps(record, allow_nan=False))
        self._separator = ',\n  '
        self._rows.writerows((pose.index, time, joint, *values)
                             for joint, values in zip(self.joints, keypoints, strict=True))

    def __enter__(self) -> PoseFiles:
        return self

    def __exit__(self, *error) -> None:
        self._json.write('\n ]\n}\n')
        self._json.close()
        self._csv.close()
