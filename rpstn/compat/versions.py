"""Which versions of which packages rpstn works with, and the commands that install them.

Read by setup.py without importing the package, so nothing is imported here. The exact versions that
all of it was tested with are in ``requirements/``.
"""

PYTHON = '>=3.10,<3.13'

REQUIRED = {
    'torch': '>=2.6',
    'numpy': '>=1.23,<2',
    'scipy': '>=1.10',
    'scikit-learn': '>=1.2',
    'av': '>=17.1,<18',
    'opencv-python-headless': '>=4.8,<4.12',
    'pillow': '>=9.4',
    'matplotlib': '>=3.7',
    'rich': '>=13',
    'jinja2': '>=3',
    'tensorboard': '>=2.15',
    'addict': '>=2.4',
    'packaging': '>=23',
    'pyyaml': '>=6',
    'termcolor': '>=2',
    'yapf': '>=0.40',
    'json-tricks': '>=3.16',
    'munkres': '>=1.1.4',
    'einops': '>=0.6',
}
"""What ``pip install rpstn`` brings: distribution -> versions, as in PEP 440."""

OPENMMLAB = {
    'mmengine': ('>=0.10,<0.11', '0.10.7'),
    'mmcv-lite': ('>=2.1,<2.2', '2.1.0'),
    'mmpose': ('>=1.3,<1.4', '1.3.2'),
    'mmaction2': ('>=1.2,<1.3', '1.2.0'),
    'xtcocotools': ('>=1.14', '1.14.3'),
    'smplx': ('>=0.1.28', '0.1.28'),
}
"""What is installed by a command of its own: distribution -> versions, and the one tested.

mmpose asks for chumpy, which does not build, and for a torchvision that need not exist.
"""

OPTIONAL = {
    'mmdet': '>=3.1,<3.4',
    'torchvision': '',
    'mediapipe': '>=0.10,<0.11',
    'onnx': '',
    'onnxruntime': '',
    'openvino': '',
    'fastapi': '',
    'uvicorn': '',
    'ray': '>=2.9',
    'pyarrow': '',
    's3fs': '>=2024',
}
"""What some parts use where it is installed."""

INSTALL_OPENMMLAB = 'pip install --no-deps ' + ' '.join(
    f'{name}=={tested}' for name, (_, tested) in OPENMMLAB.items()
)
INSTALL_MMCV = (
    'pip uninstall -y mmcv-lite && pip install "setuptools<81" '
    '&& pip install --no-deps --no-build-isolation mmcv==2.1.0'
)
INSTALL_MMDET = (
    'pip install --no-deps mmdet==3.3.0 pycocotools==2.0.11 shapely==2.2.0 six==1.17.0 '
    'terminaltables==3.1.10 tqdm==4.70.1'
)
INSTALL_TORCHVISION = 'pip install torchvision  # of the release that matches torch'
INSTALL_MMACTION = 'pip install --no-deps git+https://github.com/open-mmlab/mmaction2@v1.2.0'
INSTALL_MEDIAPIPE = 'pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers'
