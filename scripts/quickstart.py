"""The quickstart's story, step by step, each command shown as a user would type it.

usage: quickstart.py PATH-OF-MMRESUME [ROWS]
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

DIM = 128

JOB = """\
version: 1
job: demo
source:
  driver: faiss
  path: ./products.index
  extent_bytes: 8MiB
target:
  driver: milvus
  endpoint: ./demo.db            # an embedded Milvus Lite; a server: http://127.0.0.1:19530
  lite_python: {python}
  request_bytes: 1MiB
collections:
  - index: source                # as FAISS had it: IVF_FLAT
verify: full
"""


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def write_index(path, rows):
    import faiss
    import numpy as np

    vectors = np.random.default_rng(7).standard_normal((rows, DIM), dtype=np.float32)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(DIM), DIM, 64)
    index.cp.niter = 4
    index.train(vectors[:10000])
    index.add_with_ids(vectors, np.arange(rows, dtype=np.int64) * 10)
    faiss.write_index(index, path)
    return vectors


def status(mmresume, env):
    result = subprocess.run([mmresume, "status", "demo", "--json"], env=env, capture_output=True, text=True)
    return json.loads(result.stdout) if result.returncode == 0 else {"rows_done": 0}


def run_and_kill(mmresume, folder, env, rows):
    """Starts the run and kills it with SIGKILL as soon as half of the rows have a savepoint."""
    process = subprocess.Popen([mmresume, "run", "job.yaml"], cwd=folder, env=env)
    while process.poll() is None and status(mmresume, env)["rows_done"] < rows // 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"the run ended by itself with {process.returncode} before it could be killed")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def search(folder, query):
    """One search through pymilvus, on a Milvus Lite started on the folder that mmresume filled."""
    from pymilvus import MilvusClient

    port = free_port()
    server = subprocess.Popen(
        [os.path.join(os.path.dirname(sys.executable), "milvus-lite"), "server", "--data-dir", "demo.db", "--host",
         "127.0.0.1", "--port", str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        client = MilvusClient(uri=f"http://127.0.0.1:{port}")
        client.load_collection("products")
        return client.search("products", data=[query.tolist()], limit=3)[0]
    finally:
        server.kill()
        server.wait()


def main():
    mmresume = os.path.abspath(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mmresume-quickstart-") as folder:
        env = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(folder, "state"))
        say(f"1. a FAISS index: IVF, {rows} x {DIM}, written by the FAISS library")
        vectors = write_index(os.path.join(folder, "products.index"), rows)
        with open(os.path.join(folder, "job.yaml"), "w", encoding="utf-8") as job:
            job.write(JOB.format(python=sys.executable))
        say("2. $ mmresume plan job.yaml")
        subprocess.run([mmresume, "plan", "job.yaml"], cwd=folder, env=env, check=True)
        say("3. $ mmresume run job.yaml        (and kill -9 half-way)")
        run_and_kill(mmresume, folder, env, rows)
        say("4. $ mmresume status")
        subprocess.run([mmresume, "status"], cwd=folder, env=env, check=True)
        say("5. $ mmresume resume demo")
        subprocess.run([mmresume, "resume", "demo"], cwd=folder, env=env, check=True)
        say("6. $ mmresume status demo")
        subprocess.run([mmresume, "status", "demo"], cwd=folder, env=env, check=True)
        verdict = status(mmresume, env)["verdict"]
        say("7. one search through pymilvus: the nearest to row 42")
        hits = search(folder, vectors[42])
        for hit in hits:
            print(f"   id {hit['id']}, distance {hit['distance']:.4f}")
    if verdict["state"] != "equal" or verdict["target_rows"] != rows or hits[0]["id"] != 420:
        sys.exit(f"\nverdict: {verdict}, nearest id {hits[0]['id']}: not what it should be")
    say(f"verdict: equal. {verdict['source_rows']} rows in the source, {verdict['target_rows']} in the target, none "
        f"lost, none doubled, after a kill -9. ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
