"""Makes a service on SQLite bear simultaneous requests.

SQLite lets a transaction that began by reading wait for no lock when it turns to writing:
with many requests at once some would fail with "database is locked". Taking the write lock
at the beginning makes them queue up instead.
"""
from sqlalchemy import event
from sqlalchemy.engine import Engine


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def lock_at_once(_connection, _cursor, statement, parameters, _context, _many):
    return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), parameters
