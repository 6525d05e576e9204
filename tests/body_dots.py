"""A body of coloured dots, for tests of upright crops."""

BODY = dict(
    left_hip=(1, 0, 0),
    right_hip=(0, 1, 0),
    left_shoulder=(0, 0, 1),
    right_shoulder=(1, 1, 0),
    head=(1, 0, 1),
    left_ankle=(0, 1, 1),
    right_ankle=(1, 1, 1),
)
"""Its joints -> their colours, B, G, R."""
