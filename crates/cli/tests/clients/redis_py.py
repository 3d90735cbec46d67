"""Writes by redis-py's support of Sentinel or Cluster, as its documentation has it, until standard input ends."""

import json
import os
import sys
import threading

from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterError, ConnectionError, ResponseError, TimeoutError
from redis.sentinel import Sentinel

RIDE = json.loads(os.environ["RIDE"])


def say(line):
    print(line, flush=True)


stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

def sentinel():
    sentinels = Sentinel(
        [tuple(address) for address in RIDE["sentinels"]],
        sentinel_kwargs={"password": RIDE["sentinelPassword"]},
        password=RIDE["password"],
        socket_timeout=0.5,
    )
    return sentinels.master_for(RIDE["masterName"])


def cluster():
    nodes = [ClusterNode(host, port) for host, port in RIDE["nodes"]]
    return RedisCluster(startup_nodes=nodes, password=RIDE.get("password"))


def write(number):
    """Whether it was made. In a cluster, a second step: two keys of one slot. While it is open their tries may be over; one
    key's never are."""
    key = f"{RIDE['prefix']}:{number}"
    client.set(key, number)
    if not IS_CLUSTER:
        return True
    found = client.get(key)
    if found is None and RIDE.get("deaths"):
        say(f"retry {key} went with its master")
        return False
    assert found == str(number).encode(), f"{key} is {found} after it was set"
    while not stop.is_set():
        try:
            client.mset({f"{{{key}}}:a": number, f"{{{key}}}:b": number})
            return True
        except ClusterError as error:
            say(f"retry {type(error).__name__}: {error}")
            stop.wait(0.01)
    return False


IS_CLUSTER = "nodes" in RIDE
client = cluster() if IS_CLUSTER else sentinel()
EXPECTED = () if IS_CLUSTER else (ConnectionError, TimeoutError)
if RIDE.get("deaths"):
    # AttributeError: redis-py 8 trips over a node that has just left its map ('NoneType' has no 'redis_connection').
    EXPECTED = (ConnectionError, TimeoutError, ClusterError, AttributeError)
number = 0
while not stop.is_set():
    # Any other error ends this program.
    try:
        if not write(number):
            continue
    except EXPECTED as error:
        say(f"retry {type(error).__name__}: {error}")
        stop.wait(0.01)
        continue
    except ResponseError as error:
        # The fence of a master that was announced a moment ago: the write was not made.
        if IS_CLUSTER or not str(error).startswith("NOREPLICAS"):
            raise
        say(f"refused {error}")
        stop.wait(0.01)
        continue
    say(f"ok {number}")
    number += 1
    stop.wait(0.002)
if not IS_CLUSTER:
    say(f"master {client.client_info()['laddr']}")
