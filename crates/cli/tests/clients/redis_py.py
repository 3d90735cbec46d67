"""Writes by redis-py's Sentinel support, as its documentation has it, until standard input ends."""

import json
import os
import sys
import threading

from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.sentinel import Sentinel

RIDE = json.loads(os.environ["RIDE"])


def say(line):
    print(line, flush=True)


stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

sentinel = Sentinel(
    [tuple(address) for address in RIDE["sentinels"]],
    sentinel_kwargs={"password": RIDE["sentinelPassword"]},
    password=RIDE["password"],
    socket_timeout=0.5,
)
master = sentinel.master_for(RIDE["masterName"])
number = 0
while not stop.is_set():
    # Any other error ends this program.
    try:
        master.set(f"{RIDE['prefix']}:{number}", number)
    except (ConnectionError, TimeoutError) as error:
        say(f"retry {type(error).__name__}: {error}")
        stop.wait(0.01)
        continue
    except ResponseError as error:
        # The fence of a master that was announced a moment ago: the write was not made.
        if not str(error).startswith("NOREPLICAS"):
            raise
        say(f"refused {error}")
        stop.wait(0.01)
        continue
    say(f"ok {number}")
    number += 1
    stop.wait(0.002)
say(f"master {master.client_info()['laddr']}")
