"""The functions of mmengine.utils.package_utils without pkg_resources, for :mod:`rpstn.compat`.

Their code is executed inside MMEngine's own functions, so with the globals of its module: what they
use beside each other, they import.
"""


def is_installed(package: str) -> bool:
    """Whether a package is installed, by the name of its distribution or its module."""
    import importlib.metadata
    import importlib.util

    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None
    return True


def get_installed_path(package: str) -> str:
    """The folder of a package's module, given the name of its distribution or its module."""
    import importlib.metadata
    import importlib.util
    import os.path

    module = package
    if importlib.util.find_spec(package) is None:
        module = package2module(package)
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise importlib.metadata.PackageNotFoundError(package)
    if spec.origin is None:
        raise RuntimeError(
            f'{package} is a namespace package, which is invalid for `get_installed_path`'
        )
    return os.path.dirname(spec.origin)


def package2module(package: str) -> str:
    """The name of the module that a distribution installs."""
    import importlib.metadata

    names = (importlib.metadata.distribution(package).read_text('top_level.txt') or '').split()
    if not names:
        raise ValueError(f'can not infer the module name of {package}')
    return names[0]
