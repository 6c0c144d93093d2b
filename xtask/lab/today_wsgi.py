"""The WSGI application of today's Glance."""
import write_lock  # noqa: F401

from glance.wsgi.api import application  # noqa: F401
