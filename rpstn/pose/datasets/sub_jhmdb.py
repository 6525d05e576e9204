"""sub-JHMDB: the clips of JHMDB that show the whole body."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log
from mmpose.registry import DATASETS

from .jhmdb import JHMDBClipDataset
from .jhmdb_splits import read_split
from .sequence import PoseSequence

_CLIPS, _CLASSES = 316, 12


@DATASETS.register_module()
class SubJHMDBClipDataset(JHMDBClipDataset):
    """Clips of sub-JHMDB (Jhuang et al., ICCV 2013): 316 clips of 12 of JHMDB's classes.

    The data is JHMDB's, the lists are those of ``sub_splits/``, of the same names and form.
    Results are means over the three splits, each trained and tested on its own
    (``tools/research/average_splits.py``). A warning says when the lists name other than 316 clips
    of 12 classes.

    Takes the arguments of :class:`JHMDBClipDataset`, and raises what it raises.
    """

    SPLITS = 'sub_splits'

    def load_sequences(self) -> Iterator[PoseSequence]:
        names = read_split(Path(self.data_root) / self.SPLITS, self.split)
        classes = {name.partition('/')[0] for name in names}
        if (len(names), len(classes)) != (_CLIPS, _CLASSES):
            print_log(
                f'{type(self).__name__}: split {self.split} in {self.data_root} lists '
                f'{len(names)} clips of {len(classes)} classes; sub-JHMDB has {_CLIPS} of '
                f'{_CLASSES}',
                logger='current',
                level=logging.WARNING,
            )
        yield from super().load_sequences()
