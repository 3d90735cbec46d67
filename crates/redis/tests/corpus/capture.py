#!/usr/bin/env python3
"""Captures what one server version answers: capture.py SERVER-BINARY FOLDER

Starts a master, two replicas and two Sentinels on loopback addresses of their own, asks them all that the views
read, kills the master, waits for the failover, asks again, and leaves nothing behind. Paths of the machine, process
ids of strangers and passwords are replaced before anything is written.
"""
import os, pathlib, re, signal, socket, subprocess, sys, tempfile, time

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
NET = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"
NODES = [(f"{NET}.{n}", 6379) for n in (1, 2, 3)]
SENTINELS = [(f"{NET}.{n}", 26379) for n in (11, 12)]
PASSWORD = "s3cret"
HIDDEN = ("executable", "config_file", "dir", "logfile", "pidfile", "unixsocket", "bind-source-addr", "masterauth",
          "requirepass", "primaryauth", "server_cpulist")


class Client:
    def __init__(self, address, password=None):
        self.socket = socket.create_connection(address, 5)
        self.file = self.socket.makefile("rb")
        if password:
            self("AUTH", password)

    def __call__(self, *args):
        parts = [b"*%d\r\n" % len(args)]
        parts += [b"$%d\r\n%s\r\n" % (len(a.encode()), a.encode()) for a in args]
        self.socket.sendall(b"".join(parts))
        return self.read()

    def read(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=!" and rest != b"-1":
            return (kind, self.file.read(int(rest) + 2)[:-2])
        if kind in b"*~>" and rest != b"-1":
            return (kind, [self.read() for _ in range(int(rest))])
        if kind in b"%|":
            return (kind, [self.read() for _ in range(2 * int(rest))])
        return (kind, None if kind in b"$*_" else rest)


def neutral(data):
    """Addresses as every capture has them."""
    return re.sub(rb"127\.\d+\.\d+\.(\d+)", rb"127.0.0.\1", data)


def scrub(value):
    """Replaces values behind hidden names, at any depth."""
    kind, content = value
    if isinstance(content, list):
        content = [scrub(item) for item in content]
        for name, item in zip(content[::2], content[1::2]):
            if isinstance(name[1], bytes) and name[1].decode("latin-1") in HIDDEN and item[1]:
                content[content.index(item, content.index(name) + 1)] = (item[0], b"hidden")
        return kind, content
    return kind, neutral(content) if content else content


def resp(value):
    kind, content = value
    if content is None:
        return kind + b"-1\r\n" if kind in b"$*" else kind + b"\r\n"
    if isinstance(content, list):
        length = len(content) // 2 if kind in b"%|" else len(content)
        return kind + b"%d\r\n" % length + b"".join(map(resp, content))
    if kind in b"$=!":
        return kind + b"%d\r\n%s\r\n" % (len(content), content)
    return kind + content + b"\r\n"


def save(name, data):
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_bytes(data)


def save_info(name, client, *what):
    text = client("INFO", *what)[1]
    for hidden in HIDDEN:
        text = re.sub(rb"(?m)^%s:.+?\r$" % hidden.encode(), b"%s:hidden\r" % hidden.encode(), text)
    text = re.sub(rb"(?m)^os:.*?\r$", b"os:Linux x86_64\r", text)
    save(name, neutral(text))


def save_reply(name, client, *args):
    save(name, resp(scrub(client(*args))))


def wait(what, check):
    end = time.time() + 40
    while time.time() < end:
        try:
            if check():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{BINARY}: no {what}")


def start(work, name, address, lines, *flags):
    folder = work / name
    folder.mkdir()
    conf = folder / "server.conf"
    head = [f"bind {address[0]}", f"port {address[1]}", f"dir {folder}", "logfile log"]
    conf.write_text("\n".join(head + lines) + "\n")
    child = subprocess.Popen([BINARY, str(conf), *flags], stdout=subprocess.DEVNULL)
    wait(name, lambda: socket.create_connection(address, 1).close() or True)
    return child, conf


def conf_text(conf, work):
    text = conf.read_bytes().replace(str(work).encode(), b"/var/lib").replace(PASSWORD.encode(), b"hidden")
    return neutral(text)


def run(work, children):
    version = subprocess.run([BINARY, "--version"], capture_output=True, check=True).stdout
    save("version.txt", version)
    data = ["save 3600 1", "appendonly yes", f"requirepass {PASSWORD}", f"masterauth {PASSWORD}",
            "repl-diskless-sync-delay 0", "rdbcompression no"]
    confs = []
    for number, node in enumerate(NODES):
        follow = [f"replica-announce-ip {node[0]}"]
        follow += [f"replicaof {NODES[0][0]} {NODES[0][1]}"] if number else []
        child, conf = start(work, f"node-{number}", node, data + follow)
        children.append(child)
        confs.append(conf)
    nodes = [Client(node, PASSWORD) for node in NODES]
    nodes[0]("SET", "greeting", "hello")
    nodes[0]("SET", "short", "lived", "EX", "100000")
    linked = lambda n: b"master_link_status:up" in n("INFO", "replication")[1]
    wait("replica in sync", lambda: all(linked(n) for n in nodes[1:]))
    for number, sentinel in enumerate(SENTINELS):
        lines = [f"sentinel announce-ip {sentinel[0]}",
                 f"sentinel monitor mymaster {NODES[0][0]} {NODES[0][1]} 2",
                 f"sentinel auth-pass mymaster {PASSWORD}",
                 "sentinel down-after-milliseconds mymaster 1000", "sentinel failover-timeout mymaster 5000"]
        child, conf = start(work, f"sentinel-{number}", sentinel, lines, "--sentinel")
        children.append(child)
        confs.append(conf)
    sentinels = [Client(s) for s in SENTINELS]
    hello = Client(NODES[0], PASSWORD)
    hello("SUBSCRIBE", "__sentinel__:hello")
    heard = [hello.read() for _ in range(2)]
    known = lambda s, what, n: len(s("SENTINEL", what, "mymaster")[1]) == n
    wait("Sentinels", lambda: all(known(s, "SENTINELS", 1) and known(s, "REPLICAS", 2) for s in sentinels))

    save_info("info-master.txt", nodes[0], "all")
    save_info("info-replica.txt", nodes[1], "all")
    save_info("info-default.txt", nodes[0])
    save_info("info-sentinel.txt", sentinels[0])
    save_reply("role-master.resp", nodes[0], "ROLE")
    save_reply("role-replica.resp", nodes[1], "ROLE")
    save_reply("role-sentinel.resp", sentinels[0], "ROLE")
    save_reply("config-get.resp", nodes[0], "CONFIG", "GET", "*")
    for word in ("master", "replicas", "sentinels", "ckquorum", "get-master-addr-by-name"):
        save_reply(f"sentinel-{word}.resp", sentinels[0], "SENTINEL", word, "mymaster")
    save_reply("sentinel-masters.resp", sentinels[0], "SENTINEL", "MASTERS")
    save_reply("sentinel-myid.resp", sentinels[0], "SENTINEL", "MYID")
    for node, conf in zip(nodes, confs):
        node("CONFIG", "REWRITE")
    save("redis.conf", conf_text(confs[1], work))
    nodes[0]("SAVE")
    save("master.rdb", (work / "node-0" / "dump.rdb").read_bytes())
    nodes[1]("SAVE")
    save("replica.rdb", (work / "node-1" / "dump.rdb").read_bytes())

    listener = Client(SENTINELS[0])
    listener("PSUBSCRIBE", "*")
    down = ("SENTINEL", "is-master-down-by-addr", NODES[0][0], "6379")
    save_reply("is-master-down.resp", sentinels[0], *down, "0", "*")
    third = Client(NODES[0], PASSWORD)
    save("resp3.resp", b"".join(resp(scrub(third(*args))) for args in (
        ("HELLO", "3"), ("CONFIG", "GET", "save"), ("GET", "absent"), ("COMMAND", "INFO", "GET"), ("INFO", "keyspace"))))
    children[0].send_signal(signal.SIGKILL)
    wait("down link", lambda: b"master_link_status:down" in nodes[1]("INFO", "replication")[1])
    save_info("info-replica-down.txt", nodes[1], "all")
    save_reply("role-replica-down.resp", nodes[1], "ROLE")
    wait("o_down", lambda: b"o_down" in resp(sentinels[0]("SENTINEL", "MASTER", "mymaster")))
    save_reply("sentinel-master-down.resp", sentinels[0], "SENTINEL", "MASTER", "mymaster")
    while heard[-1][1][0] != (b"$", b"pmessage") or heard[-1][1][2] != (b"$", b"+switch-master"):
        heard.append(listener.read())
    # Sentinel cuts the connections of the nodes it changes.
    fresh = lambda: [Client(node, PASSWORD)("INFO", "replication")[1] for node in NODES[1:]]
    wait("second replica follows", lambda: all(
        b"role:master" in info or b"master_link_status:up" in info for info in fresh()))
    save("messages.resp", b"".join(resp(scrub(m)) for m in heard))
    survivors = [Client(node, PASSWORD) for node in NODES[1:]]
    promoted = next(n for n in survivors if b"role:master" in n("INFO", "replication")[1])
    save_info("info-promoted.txt", promoted, "all")
    save_reply("sentinel-replicas-after.resp", sentinels[0], "SENTINEL", "REPLICAS", "mymaster")
    leader = [part[1].decode() for part in sentinels[0]("SENTINEL", "get-master-addr-by-name", "mymaster")[1]]
    save_reply("is-master-down-vote.resp", sentinels[0], down[0], down[1], *leader, "9", "a" * 40)
    save("sentinel.conf", conf_text(confs[3], work))


with tempfile.TemporaryDirectory() as temporary:
    children = []
    try:
        run(pathlib.Path(temporary), children)
    finally:
        for child in children:
            child.kill()
            child.wait()
