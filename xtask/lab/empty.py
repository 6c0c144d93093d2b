"""Forgets every image and task in the database of a Glance server, which may be running."""
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("begin immediate")
tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
for (table,) in tables:
    if table.startswith(("image", "task")):
        database.execute(f'delete from "{table}"')
database.execute("commit")
