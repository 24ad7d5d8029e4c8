"""Real Elasticsearch 8 and 7 and OpenSearch 2 nodes for the tests, installed by scripts/maven_server.sh.

A node lives in a temporary folder on free ports of the loopback interface, with a heap of 512 MiB. It refuses to run as
root: started by root it runs as `nobody`. Some versions start the server as a child of a launcher, so a node has a
session of its own, which is what kill9 ends. This file knows nothing of mmresume."""

import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

import servers

INDEXING = 5 << 20  # bytes of one bulk request


def distribution(kind):
    """Folder of an installed server. RuntimeError: it cannot be installed."""
    script = os.path.join(os.environ.get("MM_ROOT") or os.path.join(os.path.dirname(__file__), "..", ".."),
                          "scripts", "maven_server.sh")
    made = subprocess.run([script, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    return made.stdout.strip()


class Refused(Exception):
    """An answer other than 2xx."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body[:2000]}")
        self.status = status


class Client:
    """Requests to one node, JSON in and out, one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, method, path, body=None, lines=None):
        """The answer as Python has it. lines: objects that go as lines of JSON. Raises Refused, OSError."""
        data, kind = None, "application/json"
        if lines is not None:
            data, kind = "".join(json.dumps(line) + "\n" for line in lines).encode(), "application/x-ndjson"
        elif body is not None:
            data = json.dumps(body).encode()
        try:
            self.connection.request(method, path, data, {"Content-Type": kind} if data else {})
            reply = self.connection.getresponse()
            text = reply.read()
        except http.client.HTTPException as error:
            self.connection.close()
            raise OSError(repr(error)) from error
        except OSError:
            self.connection.close()
            raise
        if not 200 <= reply.status < 300:
            raise Refused(reply.status, text.decode(errors="replace"))
        return json.loads(text) if text else None

    def index(self, index, documents, routing=None):
        """Writes (id, document) pairs; id None: the server's own. The ids, in order. routing: function of a document."""
        ids, lines, size = [], [], 0
        for key, document in documents:
            action = {"_index": index, **({"_id": key} if key is not None else {})}
            if routing:
                action["routing"] = routing(document)
            lines += [json.dumps({"index": action}), json.dumps(document)]
            size += len(lines[-1])
            if size > INDEXING:
                ids += self._bulk(lines)
                lines, size = [], 0
        return ids + (self._bulk(lines) if lines else [])

    def delete(self, index, ids):
        return self._bulk([json.dumps({"delete": {"_index": index, "_id": key}}) for key in ids]) if ids else []

    def _bulk(self, lines):
        self.connection.request("POST", "/_bulk", ("\n".join(lines) + "\n").encode(), {"Content-Type": "application/x-ndjson"})
        reply = self.connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status != 200 or answer["errors"]:
            failed = [entry for item in answer.get("items", []) for entry in item.values() if "error" in entry]
            raise Refused(reply.status, json.dumps(failed[:3] or answer))
        return [entry["_id"] for item in answer["items"] for entry in item.values()]

    def refresh(self, index):
        self("POST", f"/{index}/_refresh")


class Node(servers._Server):
    """One node. Nodes of one cluster are told each other's transport ports: see cluster().
    java: options of its machine. Without the second compiler a start takes two thirds of the time; a benchmark wants it."""

    def __init__(self, kind="elasticsearch-8", folder=None, keep=False, settings=None, java="-XX:TieredStopAtLevel=1"):
        super().__init__(folder, keep)
        self.kind, self.java = kind, java
        self.port, self.transport = servers.free_ports(2)
        self.settings = {"cluster.name": "mm-test", "node.name": f"node-{self.port}", "network.host": "127.0.0.1",
                         "http.port": self.port, "transport.port": self.transport,
                         "path.data": os.path.join(self.folder, "data"), "path.logs": os.path.join(self.folder, "logs"),
                         "cluster.routing.allocation.disk.threshold_enabled": False,
                         "discovery.type": "single-node", **(settings or {})}
        if kind == "elasticsearch-8":
            self.settings["xpack.security.enabled"] = False
        self._prepared = False

    @property
    def _home(self):
        return os.path.join(self.folder, "home")

    def _prepare(self):
        """The distribution's files under another name, where `nobody` may read them, and the configuration."""
        installed = distribution(self.kind)
        if not os.path.isdir(self._home):
            shutil.copytree(installed, self._home, copy_function=_link)
        for name in ("data", "logs", "tmp", "home/logs"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        program = "opensearch" if self.kind == "opensearch" else "elasticsearch"
        file = os.path.join(self._home, "config", program + ".yml")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)  # a link to the installed one
        with open(file, "w", encoding="utf-8") as out:
            out.writelines(f"{name}: {json.dumps(value)}\n" for name, value in self.settings.items())
        if os.getuid() == 0:
            for base, _, files in os.walk(self.folder):
                os.chown(base, *_nobody())
                if "home/" not in base + "/" or base.endswith("config"):
                    for name in files:
                        path = os.path.join(base, name)
                        if os.stat(path).st_nlink == 1:
                            os.chown(path, *_nobody())

    def begin(self):
        """Starts without waiting."""
        if not self._prepared:
            self._prepare()
            self._prepared = True
        program = "opensearch" if self.kind == "opensearch" else "elasticsearch"
        java = java_home()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ES_", "OPENSEARCH_"))}
        options = f"-Xms512m -Xmx512m -XX:-UsePerfData {self.java}"
        env.update(JAVA_HOME=java, ES_JAVA_HOME=java, OPENSEARCH_JAVA_HOME=java, ES_JAVA_OPTS=options,
                   OPENSEARCH_JAVA_OPTS=options, ES_TMPDIR=os.path.join(self.folder, "tmp"), CLI_JAVA_OPTS="-Xmx64m",
                   OPENSEARCH_TMPDIR=os.path.join(self.folder, "tmp"), HOME=self.folder)
        with open(os.path.join(self.folder, "stdout.log"), "ab") as log:
            self.process = subprocess.Popen([os.path.join(self._home, "bin", program)], env=env, cwd=self._home,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_step_down)

    def start(self, timeout=240):
        self.begin()
        self.wait(timeout)

    def wait(self, timeout=240):
        self._wait(self.healthy, timeout)

    def kill9(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # its session's group: of _step_down
        super().kill9()

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def client(self):
        return Client(self.port)

    def healthy(self):
        """Every primary shard is there."""
        try:
            health = self.client()("GET", "/_cluster/health?timeout=1s")
            return health["status"] in ("green", "yellow") and not health["timed_out"]
        except (OSError, Refused, ValueError):
            return False


def cluster(kind="elasticsearch-8"):
    """Two nodes that know each other; not started."""
    first, second = Node(kind), Node(kind)
    manager = "cluster.initial_master_nodes" if kind != "opensearch" else "cluster.initial_cluster_manager_nodes"
    for node in (first, second):
        del node.settings["discovery.type"]
        node.settings["discovery.seed_hosts"] = [f"127.0.0.1:{first.transport}", f"127.0.0.1:{second.transport}"]
        node.settings[manager] = [first.settings["node.name"]]
    second.settings["node.roles"] = ["data"]  # the first alone elects itself, so the second may die
    return first, second


@contextlib.contextmanager
def each(nodes, timeout=300):
    """All of them at once, ended together."""
    try:
        for node in nodes:
            node.begin()
        for node in nodes:
            node.wait(timeout)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


@contextlib.contextmanager
def started(*nodes, timeout=300):
    """The nodes of one cluster, when they have found each other."""
    with each(nodes, timeout):
        end = time.monotonic() + timeout
        while nodes[0].client()("GET", "/_cluster/health")["number_of_nodes"] != len(nodes):
            if time.monotonic() > end:
                raise TimeoutError("the nodes do not find each other")
            time.sleep(0.2)
        yield nodes


def java_home():
    program = shutil.which("java")
    if not program:
        raise RuntimeError("there is no Java: scripts/install.sh test")
    return os.path.dirname(os.path.dirname(os.path.realpath(program)))


def _nobody():
    user = pwd.getpwnam("nobody")
    return user.pw_uid, user.pw_gid


def _step_down():
    os.setsid()
    if os.getuid() == 0:
        user, group = _nobody()
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    servers._die_with_parent()  # after setuid, which would forget it


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Node(*sys.argv[1:2]) as running:
        print(running.uri, flush=True)
        sys.stdin.read()
