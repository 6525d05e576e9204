"""Data sets of `rpstn test`: archives, tables, pickles and MATLAB files."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from hypothesis import strategies as st

from .cases import Case
from .kinds_joints import EDITS, NPZ_EDITS, edit_npz
from .kinds_models import DOERS, Payload
from .mutations import ARRAYS, SHARES, VALUE_EDITS, edit_array, edit_bytes, edit_value


class Archive:
    """Skeletons of `rpstn test`: the archive, its table of labels, or MMAction2's pickle."""

    name = 'data set, form'
    specs = st.one_of(
        st.fixed_dictionaries(dict(of=st.just('npz'), edit=NPZ_EDITS)),
        st.fixed_dictionaries(dict(of=st.just('csv'), edits=EDITS)),
        st.fixed_dictionaries(dict(of=st.just('pkl'), edits=EDITS)),
        st.fixed_dictionaries(
            dict(of=st.just('pkl'), values=st.lists(VALUE_EDITS, min_size=1, max_size=2))
        ),
        st.fixed_dictionaries(
            dict(
                of=st.just('pkl'),
                doer=st.sampled_from(DOERS),
                protocol=st.integers(0, 5),
                at=SHARES,
                kind=st.sampled_from(ARRAYS),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of a file of the data set."""
        spec, root = case.spec, case.into / 'form'
        shutil.copytree(seeds / 'form', root)
        name = dict(npz='keypoints2d.npz', csv='labels.csv', pkl='annotations.pkl')[spec['of']]
        path = root / name
        canary = case.into.parent / 'canary'
        if 'edit' in spec:
            path.write_bytes(edit_npz(path, spec['edit'], canary))
        elif 'edits' in spec:
            data = path.read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        else:
            content = pickle.loads(path.read_bytes())  # ours
            if 'values' in spec:
                for edit in spec['values']:
                    content = edit_value(content, edit)
            else:
                annotation = content['annotations'][int(spec['at'] * 4)]
                payload = Payload(spec['doer'], canary)
                annotation['keypoint'] = edit_array(annotation['keypoint'], spec['kind'], payload)
            path.write_bytes(pickle.dumps(content, spec.get('protocol', 4)))
        config = 'form_pkl' if spec['of'] == 'pkl' else 'form_npz'
        _test(case, seeds / f'{config}.py', seeds / 'form_npz.pth', root)
        case.named = [name, 'form', 'keypoints2d.npz']


MAT_FIELDS = ('x', 'y', 'visibility', 'bbox', 'train', 'nframes', 'action', 'pose', 'dimensions')


class Matlab:
    """A label file of Penn Action."""

    name = 'data set, .mat'
    specs = st.one_of(
        st.fixed_dictionaries(dict(how=st.just('bytes'), edits=EDITS)),
        st.fixed_dictionaries(
            dict(
                how=st.just('array'),
                field=st.sampled_from(MAT_FIELDS),
                kind=st.sampled_from([k for k in ARRAYS if k not in ('payload', 'dates')]),
            )
        ),
        st.fixed_dictionaries(
            dict(
                how=st.just('value'),
                field=st.sampled_from(MAT_FIELDS),
                value=st.sampled_from(['cell', 'struct', 'text', 'texts', 'big', 'none', 'sparse']),
            )
        ),
        st.fixed_dictionaries(dict(how=st.sampled_from(['hdf5', 'v4', 'empty', 'folder']))),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of one of two sequences."""
        spec, root = case.spec, case.into / 'penn'
        shutil.copytree(seeds / 'penn', root)
        path = root / 'labels/0002.mat'
        if spec['how'] == 'bytes':
            data = path.read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        elif spec['how'] == 'hdf5':
            head = b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\2IM'
            path.write_bytes(head.ljust(512, b'\0') + b'\x89HDF\r\n\x1a\n' + bytes(500))
        elif spec['how'] == 'empty':
            path.write_bytes(b'')
        elif spec['how'] == 'folder':
            os.remove(path)
            path.mkdir()
        else:
            content = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != '_'}
            if spec['how'] == 'array':
                content[spec['field']] = edit_array(content[spec['field']], spec['kind'], None)
            elif spec['how'] == 'value':
                content[spec['field']] = _mat_value(spec['value'], content[spec['field']])
            else:
                content = {k: v for k, v in content.items() if k in ('x', 'y', 'bbox')}
            if content.get(spec.get('field', ''), 0) is None:
                del content[spec['field']]
            scipy.io.savemat(path, content, format='4' if spec['how'] == 'v4' else '5')
        _test(case, seeds / 'pose.py', seeds / 'model.pth', root)
        case.named = ['0002']


def _mat_value(value: str, old: Any) -> Any:
    cell = np.empty(2, object)
    cell[:] = [np.arange(3), 'text']
    return dict(
        cell=cell,
        struct=dict(a=1, b='c'),
        text='squat',
        texts=np.array(['one', 'three']),
        big=np.full((6, 13), 1e30),
        none=None,
        sparse=__import__('scipy.sparse').sparse.csc_matrix(np.eye(6)),
    )[value]


def _test(case: Case, config: Path, checkpoint: Path, root: Path) -> None:
    """The case is `rpstn test` on that data."""
    case.argv = ['test', str(config), str(checkpoint), '--work-dir', str(case.out / 'work')]
    case.argv += ['--out', str(case.out / 'figures.json'), '--cfg-options']
    case.argv += [f'test_dataloader.dataset.data_root={root}']
