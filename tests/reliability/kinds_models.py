"""Checkpoints, exported graphs, weights with a description, and interrupted runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from .cases import Case, infer
from .mutations import BYTE_EDITS, SHARES, VALUE_EDITS, edit_bytes, edit_value

DOERS = ('os.system', 'builtins.exec', 'builtins.eval', 'pathlib.Path.write_text',
         'subprocess.Popen', 'builtins.getattr', 'torch.load', 'numpy.load')  # fmt: skip


class Payload:
    """Pickled, it is a call that makes a file where whoever unpickles it lets it."""

    def __init__(self, doer: str, canary: Path) -> None:
        self.doer, self.canary = doer, str(canary)

    def __reduce__(self) -> tuple:
        code = f'open({self.canary!r}, "w").close()'
        return {
            'os.system': (os.system, (f'touch {self.canary}',)),
            'builtins.exec': (exec, (code,)),
            'builtins.eval': (eval, (code,)),
            'pathlib.Path.write_text': (Path.write_text, (Path(self.canary), 'x')),
            'subprocess.Popen': (__import__('subprocess').Popen, (['touch', self.canary],)),
            'builtins.getattr': (getattr, ('abc', 'upper')),
            'torch.load': (torch.load, ('/dev/zero',)),
            'numpy.load': (__import__('numpy').load, (self.canary,)),
        }[self.doer]


TENSORS = ('shape', 'nan', 'int', 'bool', 'complex', 'sparse', 'double', 'half', 'scalar', 'empty',
           'meta', 'list', 'text', 'payload', 'quantized', 'strided')  # fmt: skip


class Checkpoint:
    """A checkpoint whose bytes, structure or tensors are others, or that holds code."""

    name = 'checkpoint'
    specs = st.one_of(
        st.fixed_dictionaries(
            dict(
                how=st.just('bytes'),
                seed=st.sampled_from(['model.pth', 'old_format.pth']),
                edits=st.lists(BYTE_EDITS, min_size=1, max_size=3),
            )
        ),
        st.fixed_dictionaries(dict(how=st.just('values'), edit=VALUE_EDITS)),
        st.fixed_dictionaries(
            dict(how=st.just('tensor'), at=SHARES, kind=st.sampled_from(TENSORS))
        ),
        st.fixed_dictionaries(
            dict(
                how=st.just('payload'),
                doer=st.sampled_from(DOERS),
                place=st.sampled_from(['all', 'state_dict', 'weight', 'meta', 'key']),
                old=st.booleans(),
                protocol=st.integers(0, 5),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of the model's."""
        path, spec = case.into / 'spoilt.pth', case.spec
        if spec['how'] == 'bytes':
            data = (seeds / spec['seed']).read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        else:
            self._save(case, path, torch.load(seeds / 'model.pth', weights_only=True))
        case.named = [path.name]
        infer(case, seeds, seeds / 'video/whole.avi', checkpoint=path)

    def _save(self, case: Case, path: Path, content: dict) -> None:
        spec, weights = case.spec, content['state_dict']
        if spec['how'] == 'values':
            content = edit_value(dict(content, state_dict=dict(weights)), spec['edit'])
        elif spec['how'] == 'tensor':
            key = list(weights)[int(spec['at'] * len(weights))]
            weights[key] = _tensor(weights[key], spec['kind'], case.into.parent / 'canary')
        else:
            payload: Any = Payload(spec['doer'], case.into.parent / 'canary')
            case.must = 'refusal'
            if spec['place'] == 'all':
                content = payload
            elif spec['place'] == 'weight':
                weights[next(iter(weights))] = payload
            elif spec['place'] == 'key':
                content[(payload,)] = 1
            else:
                content[spec['place']] = payload
            if spec['old']:
                with open(path, 'wb') as file:
                    pickle.dump(content, file, spec['protocol'])
                return
        torch.save(content, path)


def _tensor(tensor: torch.Tensor, kind: str, canary: Path) -> Any:
    numbers = tensor.float()
    make: dict[str, Any] = {
        'shape': lambda: torch.zeros(3, 1, 2),
        'nan': lambda: torch.full_like(numbers, torch.nan),
        'int': lambda: numbers.int(),
        'bool': lambda: numbers.bool(),
        'complex': lambda: numbers + 1j,
        'sparse': lambda: numbers.to_sparse(),
        'double': lambda: numbers.double(),
        'half': lambda: numbers.half(),
        'scalar': lambda: torch.tensor(1.0),
        'empty': lambda: torch.zeros(0),
        'meta': lambda: numbers.to('meta'),
        'list': lambda: numbers.flatten()[:5].tolist(),
        'text': lambda: 'weights',
        'payload': lambda: Payload('os.system', canary),
        'quantized': lambda: torch.quantize_per_tensor(numbers, 0.1, 0, torch.qint8),
        'strided': lambda: torch.zeros(1).expand(tensor.shape),
    }
    return make[kind]()


class ExportedFolder:
    """Exported graphs of which something was changed: refused, or the same results."""

    name = 'exported'
    specs = st.one_of(
        st.fixed_dictionaries(dict(how=st.just('manifest'), edit=VALUE_EDITS)),
        st.fixed_dictionaries(
            dict(
                how=st.just('bytes'),
                file=st.sampled_from(['clip.onnx', 'start.onnx', 'step.onnx', 'export.json']),
                edits=st.lists(BYTE_EDITS, min_size=1, max_size=3),
            )
        ),
        st.fixed_dictionaries(
            dict(
                how=st.sampled_from(['swap', 'missing', 'link', 'checkpoint']),
                file=st.sampled_from(['clip.onnx', 'start.onnx', 'step.onnx']),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """As the folder of --exported."""
        folder, spec = case.into / 'spoilt', case.spec
        shutil.copytree(seeds / 'exported', folder)
        if spec['how'] == 'manifest':
            manifest = json.loads((folder / 'export.json').read_text())
            _dump(folder / 'export.json', edit_value(manifest, spec['edit']))
        elif spec['how'] == 'bytes':
            data = (folder / spec['file']).read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            (folder / spec['file']).write_bytes(data)
        elif spec['how'] == 'missing':
            (folder / spec['file']).unlink()
        elif spec['how'] == 'link':
            (folder / spec['file']).unlink()
            (folder / spec['file']).symlink_to('/dev/zero')
        elif spec['how'] == 'swap':
            names = ['clip.onnx', 'start.onnx', 'step.onnx']
            names.remove(spec['file'])
            a, b = (folder / name for name in names)
            a.rename(folder / 'x')
            b.rename(a)
            (folder / 'x').rename(b)
        checkpoint = None
        if spec['how'] == 'checkpoint':  # of the same size, and other weights
            checkpoint = case.into / 'other.pth'
            content = torch.load(seeds / 'model.pth', weights_only=True)
            for weight in content['state_dict'].values():
                weight.mul_(2) if weight.is_floating_point() else None
            torch.save(content, checkpoint)
            case.must = 'refusal'
        case.named = ['spoilt', 'other.pth']
        case.same = None if checkpoint else str(seeds / 'expected_onnx')
        more = ['--engine', 'onnx', '--exported', str(folder)]
        infer(case, seeds, seeds / 'video/whole.avi', *more, checkpoint=checkpoint)


class Journal:
    """An interrupted run of which something was changed: refused, or the results are right."""

    name = 'journal'
    specs = st.one_of(
        st.fixed_dictionaries(
            dict(how=st.just('bytes'), edits=st.lists(BYTE_EDITS, min_size=1, max_size=2))
        ),
        st.fixed_dictionaries(
            dict(how=st.just('values'), line=st.integers(0, 6), edit=VALUE_EDITS)
        ),
        st.fixed_dictionaries(
            dict(
                how=st.sampled_from(['repeat', 'remove', 'swap', 'link', 'folder', 'file', 'pipe']),
                line=st.integers(0, 6),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """As the folder of --resume."""
        folder, spec = case.out / 'whole.incomplete', case.spec
        shutil.copytree(seeds / 'run/whole.incomplete', folder)
        path = folder / 'journal.jsonl'
        data, line = path.read_bytes(), spec.get('line', 0)
        lines = data.splitlines(keepends=True)
        victim = case.into.parent / 'home/victim.json'
        if spec['how'] == 'bytes':
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        elif spec['how'] in ('link', 'folder', 'file', 'pipe'):
            self._strange(spec['how'], folder, victim)
        else:
            if spec['how'] == 'values':
                changed = edit_value(json.loads(lines[line]), spec['edit'])
                lines[line] = _text(changed).encode('utf-8', 'surrogatepass') + b'\n'
            elif spec['how'] == 'repeat':
                lines.insert(line, lines[line])
            elif spec['how'] == 'remove':
                del lines[line]
            else:
                lines[line], lines[line - 1] = lines[line - 1], lines[line]
            path.write_bytes(b''.join(lines))
        case.named = ['whole.incomplete', 'journal.jsonl', 'whole']
        case.same = str(seeds / 'expected')
        infer(case, seeds, seeds / 'video/whole.avi', '--resume')

    @staticmethod
    def _strange(how: str, folder: Path, victim: Path) -> None:
        victim.write_text('precious')
        if how == 'file':
            shutil.rmtree(folder)
            folder.write_text('precious')
            return
        target = folder / ('whole.json' if how == 'link' else 'journal.jsonl')
        target.unlink()
        if how == 'link':
            target.symlink_to(victim)
        elif how == 'folder':
            target.mkdir()
        else:
            os.mkfifo(target)


class Weights:
    """Weights and their description, as `rpstn.from_pretrained` takes them, of a stranger."""

    name = 'weights'
    specs = st.one_of(
        st.fixed_dictionaries(dict(how=st.just('values'), edit=VALUE_EDITS)),
        st.fixed_dictionaries(
            dict(
                how=st.just('bytes'),
                file=st.sampled_from(['lite.json', 'lite.pt']),
                edits=st.lists(BYTE_EDITS, min_size=1, max_size=3),
            )
        ),
        st.fixed_dictionaries(
            dict(
                how=st.just('type'),
                at=SHARES,
                type=st.sampled_from(
                    ['os.system', 'builtins.exec', 'subprocess.Popen', 'mmpose.os.system']
                ),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """As a folder of weights."""
        from rpstn.checkpoints import SHIPPED

        spec = case.spec
        for name in ('lite.json', 'lite.pt'):
            shutil.copy(SHIPPED / name, case.into / name)
        saved = json.loads((case.into / 'lite.json').read_text())
        if spec['how'] == 'values':
            _dump(case.into / 'lite.json', edit_value(saved, spec['edit']))
        elif spec['how'] == 'bytes':
            data = (case.into / spec['file']).read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            (case.into / spec['file']).write_bytes(data)
        else:
            nodes = list(_typed(saved))
            node = nodes[int(spec['at'] * len(nodes))]
            node.clear()
            node.update(type=spec['type'], command=f'touch {case.into.parent / "canary"}')
            _dump(case.into / 'lite.json', saved)
            case.must = 'refusal'
        case.door, case.argv = 'weights', [str(case.into)]
        case.named = ['lite.json', 'lite.pt']


def _typed(content: Any) -> Any:
    """The dicts that name a type."""
    if isinstance(content, dict):
        if 'type' in content:
            yield content
        for value in content.values():
            yield from _typed(value)
    elif isinstance(content, list):
        for value in content:
            yield from _typed(value)


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def _dump(path: Path, content: Any) -> None:
    path.write_bytes(_text(content).encode('utf-8', 'surrogatepass'))
