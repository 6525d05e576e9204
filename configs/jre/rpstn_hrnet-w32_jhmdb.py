# RPSTN, JRE and JRPSP, on the clips of rpstn_jhmdb.py, with MMPose's HRNet-W32 for both F and P.
_base_ = '../rpstn_jhmdb.py'
# Behind _base_: before it, MMEngine would take this for a config of its other, pure Python kind.
from mmengine.hub import get_config  # noqa: E402

model = dict(backbone=dict(encoder=dict(
    _delete_=True,
    **get_config('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
                 'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py').model.backbone)))
