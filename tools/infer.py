"""`rpstn infer` as a script: `python tools/infer.py --help`."""

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.cli.infer import main

if __name__ == '__main__':
    main()
