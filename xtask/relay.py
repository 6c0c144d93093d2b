"""Passes the body of one answer on as that of a PUT: relay.py FROM TO

The kernel moves the data from socket to socket (splice), so no program that reads it can be faster.
"""

import fcntl
import http.client
import os
import sys
from urllib.parse import urlsplit

AT_A_TIME = 1 << 20

source, target = (urlsplit(url) for url in sys.argv[1:])
get = http.client.HTTPConnection(source.netloc)
get.request("GET", source.path)
answer = get.getresponse()
put = http.client.HTTPConnection(target.netloc)
put.putrequest("PUT", target.path)
put.putheader("Content-Type", "application/octet-stream")
put.putheader("Content-Length", str(answer.length))
put.endheaders()
put.sock.sendall(answer.read1(AT_A_TIME))  # what came along with the head
left = answer.length
reader, writer = os.pipe()
fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, AT_A_TIME)
while left:
    moved = os.splice(answer.fileno(), writer, min(left, AT_A_TIME))
    if not moved:
        sys.exit("the source broke off")
    left -= moved
    while moved:
        moved -= os.splice(reader, put.sock.fileno(), moved)
status = put.getresponse().status
if answer.status != 200 or status >= 300:
    sys.exit(f"{sys.argv[1]}: {answer.status}, {sys.argv[2]}: {status}")
