"""Real servers for the tests: a Milvus standalone (PyPI milvus 2.3.5), Milvus Lite, and a MariaDB (Debian).

Each server lives in a temporary folder, on free ports, and is ended by its own pid; none survives the
process that started it. This file knows nothing of mmresume.

A Milvus standalone cannot be told to listen on the loopback interface only. A test that starts one
calls private_network() first: then the test and everything it starts live in a network namespace of
their own, whose only interface is lo. Where the kernel refuses that (no root, no user namespaces)
private_network() says so on stderr and returns False; the server is then used through 127.0.0.1 but
visible from outside as long as the test runs.

Command line: servers.py standalone|lite|mariadb [FOLDER]   starts one, prints its URI, ends it at EOF or SIGTERM
"""

import contextlib
import ctypes
import fcntl
import functools
import os
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

# A child of this process only goes on to exec. gRPC's own handling of fork, for clients that stay open across it,
# aborts such a child now and then.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


def private_network():
    """Moves the calling process into a network namespace of its own with lo up. True when it did.

    Only the calling thread and what it starts later are moved: call it first of all, once."""
    if threading.active_count() > 1:
        raise RuntimeError("private_network() must be called before any thread is started")
    uid, gid = os.getuid(), os.getgid()
    flags = _CLONE_NEWNET if uid == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if _libc.unshare(flags) != 0:
        error = os.strerror(ctypes.get_errno())
        print(f"servers: no network namespace ({error}); servers are visible from outside", file=sys.stderr)
        return False
    if uid != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # struct ifreq: name[16], short flags; SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
    return True


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def free_ports(count):
    """Ports that nobody listens on, below the range from which outgoing connections get theirs, so
    that a restarted server finds them free again."""
    held, ports = [], []
    try:
        while len(ports) < count:
            port = random.randint(15000, 32000)
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(sock)
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            ports.append(port)
    finally:
        for sock in held:
            sock.close()
    return ports


def free_port():
    return free_ports(1)[0]


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become(user):
    """In a child: gives up root for good, then binds its life to its parent's, which setuid would undo."""
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    _die_with_parent()


class _Server:
    """A process in a folder. Usable as a context manager."""

    def __init__(self, folder=None, keep=False):
        self._own = folder is None
        self._keep = keep
        self.folder = os.path.abspath(folder) if folder else tempfile.mkdtemp(prefix="mm-server-")
        os.makedirs(self.folder, exist_ok=True)
        self.process = None

    def __enter__(self):
        if self.process is None:
            self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    def _spawn(self, command, env, become=_die_with_parent):
        """The server dies with this process: by PDEATHSIG, which is bound to the starting thread, so
        only the main thread may start servers."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start servers from the main thread")
        with open(os.path.join(self.folder, "stdout.log"), "ab") as log:
            self.process = subprocess.Popen(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=become)

    def _wait(self, ready, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{type(self).__name__} ended with {self.process.returncode}:\n{self.log_tail()}")
            if ready():
                return
            time.sleep(0.1)
        log = self.log_tail()
        self.kill9()
        raise TimeoutError(f"{type(self).__name__} was not ready after {timeout} s:\n{log}")

    def log_tail(self, size=4000):
        try:
            with open(os.path.join(self.folder, "stdout.log"), "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - size))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def signal(self, number):
        self.process.send_signal(number)

    def kill9(self):
        """SIGKILL, and waits until the process is gone. The data stay."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        """Starts again on the same data and ports, after kill9 if it still runs."""
        self.kill9()
        self.start()

    def stop(self):
        """Ends the server (SIGKILL: a clean end can take a minute) and removes a folder of its own."""
        self.kill9()
        if self._own and not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def unpack_milvus():
    """The folder with the server's binary and libraries, unpacked once per venv (250 MB)."""
    import milvus

    done = os.path.join(sys.prefix, f"milvus-server-{milvus.__version__}")
    with open(done + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(done):
            part = done + ".part"
            shutil.rmtree(part, ignore_errors=True)
            milvus._initialize_data_files(part)
            os.rename(part, done)
    return os.path.join(done, "bin")


class MilvusStandalone(_Server):
    """A whole Milvus 2.3.5 with embedded etcd and RocksMQ; several run side by side.

    settings: values of milvus.MilvusServerConfig ({"authorization_enabled": True, "tls_mode": 1,
    "server_pem_path": …}) or dotted keys of milvus.yaml that stand in its template
    ({"proxy.maxNameLength": 300}). With authorization the first user is root, password Milvus."""

    _PORTS = ("etcd", "root_coord", "proxy", "proxy_internal", "query_coord", "query_node", "index_coord",
              "index_node", "data_coord", "data_node")

    def __init__(self, folder=None, settings=None, keep=False):
        super().__init__(folder, keep)
        self.settings = dict(settings or {})
        self.settings.setdefault("log.level", "warn")
        self._choose_ports()

    def _choose_ports(self):
        names = self._PORTS + ("metrics", "etcd_peer")
        self.ports = dict(zip(names, free_ports(len(names))))
        self.port = self.ports["proxy"]

    def _write_config(self):
        import milvus

        config = milvus.MilvusServerConfig(data_dir=self.folder)
        config.resolve_storage()
        for name in self._PORTS:
            config.set(f"{name}_port", self.ports[name])
        for name, value in self.settings.items():
            config.set(name, value)
        config.write_config()
        client, peer = self.ports["etcd"], self.ports["etcd_peer"]
        _write(os.path.join(self.folder, "configs", "etcd.yaml"),
               f"name: default\n"
               f"data-dir: {self.folder}/data/etcd.data\n"
               f"listen-client-urls: http://127.0.0.1:{client}\n"
               f"advertise-client-urls: http://127.0.0.1:{client}\n"
               f"listen-peer-urls: http://127.0.0.1:{peer}\n"
               f"initial-advertise-peer-urls: http://127.0.0.1:{peer}\n"
               f"initial-cluster: default=http://127.0.0.1:{peer}\n"
               f"log-level: warn\n")

    def start(self, timeout=120):
        binaries = unpack_milvus()
        self._write_config()
        env = dict(os.environ, DEPLOY_MODE="STANDALONE", METRICS_PORT=str(self.ports["metrics"]),
                   MILVUS_RUN_DIR=os.path.join(self.folder, "run"), LD_LIBRARY_PATH=binaries,
                   ETCD_CONFIG_PATH=os.path.join(self.folder, "configs", "etcd.yaml"),
                   MILVUSCONF=os.path.join(self.folder, "configs"))
        self._spawn([os.path.join(binaries, "milvus"), "run", "standalone"], env)
        self._wait(self.healthy, timeout)

    def kill9(self):
        pid = self.pid
        super().kill9()
        if pid:  # a note that Milvus leaves under a fixed path
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"/tmp/milvus/server_id_{pid}")

    def healthy(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/healthz", timeout=2) as reply:
                return b"OK" in reply.read()
        except (OSError, urllib.error.URLError):
            return False


class MilvusLite(_Server):
    """Milvus Lite on a folder. It hides repeated inserts: see MilvusStandalone for those."""

    def __init__(self, folder=None, keep=False):
        super().__init__(folder, keep)
        self.port = free_port()

    def start(self, timeout=60):
        program = os.path.join(os.path.dirname(sys.executable), "milvus-lite")
        data = os.path.join(self.folder, "data")
        self._spawn([program, "server", "--data-dir", data, "--host", "127.0.0.1", "--port", str(self.port)],
                    dict(os.environ, PYTHONUNBUFFERED="1"))
        self._wait(self.healthy, timeout)

    def healthy(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False


class MariaDB(_Server):
    """A MariaDB in a folder, on 127.0.0.1 and a socket; root, from here only, has no password. What was committed
    survives its kill, not the machine's. It refuses to run as root of the machine, and is nobody then.

    settings: further lines of its [mysqld] section ({"ssl_cert": …})."""

    def __init__(self, folder=None, settings=None, keep=False):
        super().__init__(folder, keep)
        self.settings = dict(settings or {})
        self.port = free_port()
        self.socket = os.path.join(self.folder, "s")

    @property
    def uri(self):
        return f"mysql://root@127.0.0.1:{self.port}"

    def _run_as(self):
        if os.getuid() != 0:
            return _die_with_parent
        user = pwd.getpwnam("nobody")
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        return functools.partial(_become, user)

    def _write_config(self):
        path = os.path.join(self.folder, "my.cnf")
        settings = {"datadir": os.path.join(self.folder, "data"), "socket": self.socket, "port": self.port,
                    "bind_address": "127.0.0.1", "tmpdir": self.folder, "pid_file": os.path.join(self.folder, "pid"),
                    "skip_name_resolve": "ON", "performance_schema": "OFF", "innodb_buffer_pool_size": "16M",
                    "innodb_log_file_size": "4M", "innodb_data_file_path": "ibdata1:4M:autoextend",
                    "innodb_flush_log_at_trx_commit": 2, "innodb_doublewrite": "OFF", **self.settings}
        _write(path, "[mysqld]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        return path

    def start(self, timeout=60):
        become, config = self._run_as(), self._write_config()
        if not os.path.isdir(os.path.join(self.folder, "data")):
            subprocess.run(["mariadb-install-db", f"--defaults-file={config}", "--skip-test-db",
                            "--auth-root-authentication-method=normal"], check=True, cwd=self.folder, preexec_fn=become,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=timeout)
        program = shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self._spawn([program, f"--defaults-file={config}"], dict(os.environ), become)
        self._wait(self.healthy, timeout)

    def healthy(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self, database=None, **more):
        """A pymysql connection, each statement committed at once."""
        import pymysql

        try:
            return pymysql.connect(unix_socket=self.socket, user="root", database=database, autocommit=True, **more)
        except pymysql.err.OperationalError as error:
            raise ConnectionError(str(error)) from error


def _main(arguments):
    kinds = {"standalone": MilvusStandalone, "lite": MilvusLite, "mariadb": MariaDB}
    if not arguments or arguments[0] not in kinds:
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with kinds[arguments[0]](*arguments[1:2]) as server, contextlib.suppress(KeyboardInterrupt):
        print(server.uri, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
