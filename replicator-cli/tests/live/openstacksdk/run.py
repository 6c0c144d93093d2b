"""Lists images with openstacksdk, once for each cloud that is described on stdin.

A line of stdin is a JSON object: `directory` to be in, `env` to have, `cloud` and `region` to
ask for (null is what the environment says). A line of stdout is an error, or null.
"""

import importlib
import json
import os
import sys
import warnings

import openstack.connection
from openstack.config import loader


def ask(definition):
    os.chdir(definition["directory"])
    os.environ.clear()
    os.environ.update(definition["env"])
    warnings.simplefilter("ignore")
    # Where files are looked for is found out as the module is read.
    importlib.reload(loader)
    config = loader.OpenStackConfig()
    asked = {"region_name": definition["region"]} if definition["region"] else {}
    region = config.get_one(definition["cloud"], **asked)
    list(openstack.connection.Connection(config=region).image.images())


def main():
    for line in sys.stdin:
        # A process of its own: the library keeps much for the whole of one.
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            answer = None
            try:
                ask(json.loads(line))
            except BaseException as error:
                answer = f"{type(error).__name__}: {error}"
            os.write(writing, json.dumps(answer).encode()[:4000])
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            print(answer.read(), flush=True)
        os.waitpid(child, 0)


main()
