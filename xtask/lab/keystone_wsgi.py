"""The WSGI application of Keystone, which also issues tokens of a shorter life.

Below the path /life-20 is the same Keystone, whose tokens live 20 seconds; any number will do.
"""
import datetime
import re
import threading

import write_lock  # noqa: F401

from keystone.token import provider
from keystone.wsgi.api import application as keystone
from oslo_utils import timeutils

request = threading.local()
default_expire_time = provider.default_expire_time


def expire_time():
    if request.life is None:
        return default_expire_time()
    expires_at = timeutils.utcnow() + datetime.timedelta(seconds=request.life)
    return expires_at.replace(microsecond=0)


provider.default_expire_time = expire_time


def application(environ, start_response):
    prefix = re.match(r"/life-(\d+)(?=/|$)", environ["PATH_INFO"])
    request.life = int(prefix[1]) if prefix else None
    if prefix:
        environ["SCRIPT_NAME"] += prefix[0]
        environ["PATH_INFO"] = environ["PATH_INFO"][prefix.end():]
    return keystone(environ, start_response)
