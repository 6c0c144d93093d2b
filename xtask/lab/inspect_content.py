"""Asks Glance's own code whether it takes image data, without a server.

Reads cases from stdin, one a line of JSON: [disk_format, container_format, length, [[offset, hex], ...]]
is data of that length which is zero but for these bytes. Each is given to `ImageProxy.set_data` of
glance/location.py, as an upload is, with a store that reads it as the file store does. Prints a line
for each: `taken`, or `refused` and why.
"""

import json
import logging
import sys
import types

from glance.common import config, exception  # registers the options
from glance import location
import oslo_config.cfg

# As glance_store's file store reads it (WRITE_CHUNKSIZE).
CHUNK_BYTES = 64 * 1024


class Data:
    """A body of a request."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def read(self, size):
        chunk = self.data[self.at:self.at + size]
        self.at += len(chunk)
        return chunk


class Store:
    """Reads everything, and keeps nothing."""

    def add_to_backend_with_multihash(self, conf, image_id, data, size, *args, **kwargs):
        total = 0
        while chunk := data.read(CHUNK_BYTES):
            total += len(chunk)
        return 'file:///x', total, 'md5', 'sha512', {}


def verdict(disk_format, container_format, length, parts):
    data = bytearray(length)
    for offset, text in parts:
        piece = bytes.fromhex(text)
        assert offset + len(piece) <= length
        data[offset:offset + len(piece)] = piece
    image = types.SimpleNamespace(
        image_id='x', disk_format=disk_format, container_format=container_format,
        extra_properties={}, os_hash_algo='sha512', locations=[], status='saving',
        size=None, checksum=None, os_hash_value=None, virtual_size=None)
    proxy = object.__new__(location.ImageProxy)
    proxy.image, proxy.context, proxy.store_api = image, None, Store()
    try:
        proxy.set_data(Data(bytes(data)), length)
    except exception.InvalidImageData as error:
        return f'refused: {error}'.replace('\n', ' ')
    return 'taken'


logging.disable(logging.CRITICAL)
oslo_config.cfg.CONF([], project='glance', default_config_files=[])
for line in sys.stdin:
    print(verdict(*json.loads(line)))
