# A single-frame model on MPII, MMPose's own, for P and F of RPSTN to start from:
# rpstn train configs/rpstn_penn.py --cfg-options model.backbone.pretrained=<its checkpoint>
# Data in data/mpii/, as MMPose lays it out.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_res50_8xb64-210e_mpii-256x256.py'

custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

# MMPose's torchvision:// needs torchvision; these are RPSTN's ImageNet weights.
imagenet = 'https://download.pytorch.org/models/resnet50-0676ba61.pth'
model = dict(backbone=dict(init_cfg=dict(checkpoint=imagenet)))
