"""What is shown of names and addresses: no password, nothing that no terminal or file takes."""

import json
import os

import pytest

from rpstn.names import hide_password, hide_passwords, printable

SECRET = 'S3cr'
ADDRESSES = {
    'rtsp://admin:S3cr@cam/live': 'rtsp://cam/live',
    'rtsp://admin:S3cr/S3cr@cam/live': 'rtsp://cam/live',
    'rtsp://admin:S3cr@S3cr@cam:554/live': 'rtsp://cam:554/live',
    'rtsp://admin:S3cr@S3cr/S3cr@cam/live': 'rtsp://cam/live',
    'rtsp://admin:1/S3cr@cam/live': 'rtsp://cam/live',
    'rtsp://admin:S3cr?S3cr@cam/live': 'rtsp://cam/live',
    'rtsp://admin:S3cr#S3cr@cam/live?a=1': 'rtsp://cam/live?a=***',
    'rtsp://S3cr@cam': 'rtsp://cam',
    'http://cam/video?user=S3cr&pwd=S3cr': 'http://cam/video?user=***&pwd=***',
    'http://cam/video?user=a@b&pwd=S3cr&channel=2': 'http://cam/video?user=***&pwd=***&channel=2',
    'https://cam/x?X-Amz-Signature=S3cr&X-Amz-Credential=S3cr': (
        'https://cam/x?X-Amz-Signature=***&X-Amz-Credential=***'
    ),
    'https://cam/x?resolution=640x480;token=S3cr': 'https://cam/x?resolution=640x480;token=***',
    'https://cam/x#access_token=S3cr': 'https://cam/x#access_token=***',
    'https://cam/x?S3crS3crS3crS3cr': 'https://cam/x?***',
    'rtsp://cam:554/user=S3cr_password=S3cr_channel=1_stream=0.sdp?real_stream': (
        'rtsp://cam:554/user=***_password=***_channel=1_stream=0.sdp?real_stream'
    ),
    'rtsp://cam/user=a&password=S3cr/S3cr&channel=1': 'rtsp://cam/user=***&password=***&channel=1',
    'rtsp://cam/0/usrnm:x?pw=S3cr': 'rtsp://cam/0/usrnm:x?pw=***',
    'RTSP://[fe80::1]:554/a?auth=S3cr': 'RTSP://[fe80::1]:554/a?auth=***',
    'rtsp://cam/a@b': 'rtsp://cam/a@b',
    'rtsp://cam:554/Streaming/Channels/101?transport=udp': (
        'rtsp://cam:554/Streaming/Channels/101?transport=udp'
    ),
    'squat.mp4': 'squat.mp4',
}


@pytest.mark.parametrize('address', ADDRESSES)
def test_passwords_are_hidden(address):
    shown = hide_password(address)
    assert shown == ADDRESSES[address] and SECRET not in shown
    assert hide_passwords(f'{address}: cannot be opened, {address}!').count(SECRET) == 0
    assert hide_password(shown) == shown


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        (b'squat.mp4', 'squat.mp4'),
        ('ä 你好 🙂.mp4'.encode(), 'ä 你好 🙂.mp4'),
        (b'a-\xff\xe4.mp4', r'a-\xff\xe4.mp4'),
        (b'a\nb\x1b[31m.mp4', r'a\nb\x1b[31m.mp4'),
        ('a\u202egnp.mp4'.encode(), r'a\u202egnp.mp4'),
    ],
)
def test_names_are_printable(name, shown):
    assert printable(os.fsdecode(name)) == shown
    json.dumps(shown, ensure_ascii=False).encode()
