"""The plan of the house holds: rooms import only rooms before them, and none is too large."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'rpstn'
# The order in which data flows; each may import those before it, and none after it.
ROOMS = (
    'version',
    'errors',
    'limits',
    'names',
    'mat_files',
    'data_files',
    'choices',
    'locks',
    'interruption',
    'files',
    'growing_files',
    'safe_pickle',
    'tables',
    'compat',
    'registration',
    'checkpoints',
    'joint_maps',
    'skeletons',
    'drawing',
    'results',
    'data',
    'video',
    'pose',
    'engine',
    'deploy',
    'lift',
    'form',
    'simulation',
    'inference',
    'assess',
    'apis',
    'cluster',
    'benchmark',
    'cli',
    '__main__',
)
# What else a room may not import, though it comes later: MMPose users need no MMAction2, and who
# classifies skeletons needs no pose estimation.
APART = {'lift': ('pose', 'engine', 'deploy'), 'form': ('pose', 'engine', 'deploy', 'lift')}
FILES = sorted(PACKAGE.rglob('*.py'))


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix('').parts[0]


def imports(tree: ast.Module) -> Iterator[str]:
    """Rooms that a file imports, wherever in it; by absolute names, as across rooms."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        else:
            continue
        yield from (name.split('.')[1] for name in names if name.startswith('rpstn.'))


def test_every_room_has_its_place():
    assert {room_of(file) for file in FILES} - {'__init__'} == set(ROOMS)


@pytest.mark.parametrize('file', FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_rooms_before_it(file):
    room = room_of(file)
    if room == '__init__':
        return
    used = {name for name in imports(ast.parse(file.read_text())) if name in ROOMS} - {room}
    allowed = set(ROOMS[: ROOMS.index(room)]) - set(APART.get(room, ()))
    assert used <= allowed, f'{file}: {sorted(used - allowed)} come after {room}, or are apart'


@pytest.mark.parametrize('file', FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_library_neither_ends_the_process_nor_prints(file):
    """But for the command line, which is there for that."""
    if room_of(file) == 'cli':
        return
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Name) and file.name != '__main__.py':
            assert node.id not in ('SystemExit', 'print'), f'{file}:{node.lineno}'
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ('sys.argv', 'gc.disable'), f'{file}:{node.lineno}'


def test_no_folder_and_no_module_has_outgrown_its_purpose():
    for folder in [ROOT / 'rpstn', ROOT / 'tools', ROOT / 'tests']:
        for place in {file.parent for file in folder.rglob('*.py')}:
            assert len(list(place.glob('*.py'))) <= 30, place
    too_long = {
        str(file.relative_to(ROOT)): count
        for file in FILES
        if (count := len(file.read_text().splitlines())) > 350
    }
    assert not too_long


def test_errors_of_the_package_have_one_base():
    """A class called ...Error that names another exception as its base names ours, too."""
    ours = {'RPSTNError'}
    classes = [
        node
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith('Error')
    ]
    for _ in classes:  # until nothing is added any more
        ours |= {node.name for node in classes if {ast.unparse(base) for base in node.bases} & ours}
    assert {node.name for node in classes} == ours


def test_tests_mirror_the_rooms():
    mirrored = {path.name for path in (ROOT / 'tests').iterdir() if path.is_dir()}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {'__pycache__', 'apis'}
    assert mirrored - {'__pycache__'} >= rooms
