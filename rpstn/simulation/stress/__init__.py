"""What makes real video hard, drawn over it: for tests, the same in every run."""

from .blur import MotionBlur
from .crossing import CrossingPerson
from .occlusion import LimbOcclusion

__all__ = ['CrossingPerson', 'LimbOcclusion', 'MotionBlur']
