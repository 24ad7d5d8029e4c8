"""Whole jobs between two clouds: a FAISS file in Azure Blob Storage becomes Parquet in Google Cloud Storage and NumPy
in Azure, killed on the way and resumed, and proven by the run's own full verification and by other readers."""

import io
import json
import os
import sys

import numpy
import pyarrow.parquet

import cloud_servers
import jobs
from http_proxy import FaultProxy

CLEAN = {name: "" for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN")}
ROWS, DIM = 300000, 32


class Clouds:
    def __init__(self, here, azure, google):
        self.here, self.azure, self.google = here, azure, google
        self.vectors = jobs.floats(ROWS, DIM)
        file = here.path("products.index")
        jobs.write_flat(file, self.vectors)
        with open(file, "rb") as index:
            azure.put("container", "in/products of the day.index", index.read())
        self.source = {"driver": "faiss", "path": "az://container/in/products of the day.index", **azure.options()}

    def job(self, name, target):
        file = self.here.path(name + ".yaml")
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"version": 1, "job": name, "source": self.source, "target": {"driver": "files", **target},
                       "collections": [{"to": "products"}], "verify": "full"}, out)
        return file


def google_gets_parquet(clouds):
    target = {"path": "gs://a-bucket/dump", "format": "parquet", **clouds.google.options()}
    clouds.here.call("run", clouds.job("to-google", target))
    clouds.here.ended("to-google")
    found = {}
    for key in clouds.google.keys("a-bucket", "dump/"):
        assert ".mmresume-" not in key, key
        if key.endswith(".parquet"):
            table = pyarrow.parquet.read_table(io.BytesIO(clouds.google.get("a-bucket", key)))
            found.update(zip(table["id"].to_pylist(), table["vector"].to_pylist()))
    ids = sorted(found)
    assert ids == list(range(ROWS)), len(ids)
    assert numpy.array_equal(numpy.array([found[row] for row in ids], dtype="f4"), clouds.vectors)


def azure_gets_numpy_through_kills(clouds):
    """Killed at the first, the second … request that sends something; each resume goes on."""
    with FaultProxy(clouds.azure.port) as way:
        target = {"path": "az://container/dump", "format": "npy", **clouds.azure.options(), "storage_endpoint": way.uri}
        process = []
        file = clouds.job("to-azure", target)
        kills = 0
        for word in ("run", *["resume"] * 20):
            way.clear()
            fatal = way.on(lambda request: request.method == "PUT", "call", nth=kills // 2 + 1,
                           function=lambda _: process[-1].kill())
            process.append(clouds.here.start(word, file if word == "run" else "to-azure"))
            clouds.here.end(process[-1], jobs.DONE, jobs.KILLED)
            if not fatal.fired:
                break
            kills += 1
        assert process[-1].returncode == jobs.DONE and kills >= 4, (process[-1].returncode, kills)
    clouds.here.ended("to-azure")
    status, _, body = clouds.azure.request("GET", "/container", {"restype": "container", "comp": "list",
                                                                  "prefix": "dump/", "include": "uncommittedblobs"})
    assert status == 200
    names = [part.split("<")[0] for part in body.decode().split("<Name>")[1:]]
    arrays = {kind: numpy.concatenate([numpy.load(io.BytesIO(clouds.azure.get("container", name)))
                                       for name in sorted(names) if name.endswith(kind + ".npy")])
              for kind in ("id", "vector")}
    order = numpy.argsort(arrays["id"])
    assert numpy.array_equal(arrays["id"][order], numpy.arange(ROWS))
    assert numpy.array_equal(arrays["vector"][order], clouds.vectors)


def no_secret_is_said(clouds):
    for text in clouds.here.said:
        assert cloud_servers.KEY not in text
    with open(os.path.join(clouds.here.state, "to-azure.db"), "rb") as store:
        assert cloud_servers.KEY.encode() not in store.read()


def main():
    azure, google = cloud_servers.Azurite(), cloud_servers.FakeGcs()
    try:
        azure.start()
        google.start()
    except RuntimeError as error:
        print(error)
        print("0 passed, 1 skipped")
        return 0
    with azure, google, jobs.Jobs(CLEAN) as here:
        azure.make_container("container")
        google.make_bucket("a-bucket")
        return jobs.run_checks([google_gets_parquet, azure_gets_numpy_through_kills, no_secret_is_said],
                               Clouds(here, azure, google))


if __name__ == "__main__":
    sys.exit(main())
