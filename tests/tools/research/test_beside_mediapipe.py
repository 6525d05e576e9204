"""The table beside MediaPipe: what it says of given times."""

import importlib.util
import sys
from pathlib import Path

import pytest

from rpstn.benchmark.pipeline import Spent
from rpstn.benchmark.timing import Timing

TOOLS = Path(__file__).parents[3] / 'tools/research'


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location('beside', TOOLS / 'beside_mediapipe.py')
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'beside', module)
    spec.loader.exec_module(module)
    return module


def timings(tool) -> dict[str, Timing]:
    return {
        tool.MEDIAPIPE: Timing('', [[20.0], [40.0]], [[20.0], [20.0]]),
        'openvino float32': Timing('', [[10.0], [10.0]], [[15.0], [15.0]]),
        'onnx float32': Timing(error='gone'),
    }


def cells(markdown: str, name: str, table: int) -> list[str]:
    rows = [line for line in markdown.splitlines() if line.startswith(f'| {name} ')]
    return [cell.strip() for cell in rows[table].strip('|').split('|')][1:]


def test_ratios_are_taken_turn_by_turn(tool):
    text = tool.file_section(timings(tool)).markdown()
    # 20 / 10 and 40 / 10
    assert cells(text, 'openvino float32', 1) == ['100.00', '3.00']
    assert cells(text, tool.MEDIAPIPE, 1) == ['37.50', '1.00']
    assert '- onnx float32: not measured: gone' in text
    # wall 0.5 and 0.25 of MediaPipe's, processor time 0.75
    assert cells(text, 'openvino float32', 0)[2:5] == ['0.38', '15.0', '0.75']


def test_precisions_that_move_joints_are_named(tool):
    kept = {('openvino', 'float32'): (1.0, ''), ('openvino', 'int8'): (0.9, 'left out')}
    text = tool.frame_section(timings(tool), kept).markdown()
    assert cells(text, 'openvino int8', 0) == ['90.00', 'left out']


def test_parts_are_given_by_frame(tool):
    reading, search = Spent(20, 40, 10), Spent(50, 60, 1)
    text = tool.parts_section({'torch': {'reading the file': reading, 'search': search}}).markdown()
    assert cells(text, 'reading the file', 0) == ['2.00', '4.00', '1.00']
    assert cells(text, 'search', 0) == ['5.00', '6.00', '0.10']
