"""Faults between mmresume and a real cluster of two OpenSearch nodes, made by a proxy before each: cut, short, changed and
slow replies, shards that fail, searches that time out, 429, 502 and 503, a node that dies; points in time and scrolls that
the server forgets. Jobs into files of lines of JSON and into a real Milvus: every document arrives once with every value,
or the job ends with its exit code within a bound and goes on later."""

import json
import sys
import time

import elastic_data
import elastic_servers
import jobs
import oracle
import servers
from http_proxy import FaultProxy
from jobs import UNAVAILABLE
from oracle import read_lines

KIND, ROWS, SHARDS = "opensearch", 1000, 3
FEW = ["title", "number", "double", "day", "extra", "vector"]
BOUND = 40  # seconds that a job with one kind of fault may take


def page(request):
    """A request for a page of a shard."""
    return request.path.endswith("/_search") and "_shards:" in request.target


class Faults(jobs.Jobs):
    def __init__(self, nodes, ways, milvus):
        super().__init__()
        self.nodes, self.ways, self.milvus, self.number = nodes, ways, milvus, 0
        client = nodes[0].client()
        body = elastic_data.body(KIND, SHARDS)
        body["settings"]["index"]["number_of_replicas"] = 1
        self.index = elastic_data.Index(client, KIND, "products", SHARDS, body)
        self.index.write(range(ROWS))
        client("GET", "/_cluster/health?wait_for_status=green&timeout=60s")

    def make(self, patience="20s", rate="none", ways=None, milvus=False, **source):
        self.number += 1
        name = f"faults{self.number}"
        file = self.path(name + ".yaml")
        spec = {"version": 1, "job": name, "verify": "count",
                "source": {"driver": "opensearch", "endpoint": [way.uri for way in ways or self.ways[:1]],
                           "index": "products", "arrays": "array", "extent_bytes": "256KiB", "page_bytes": "64KiB", **source},
                "limits": {"patience": patience, "rejects": 10, "rate": rate},
                "target": {"driver": "files", "path": self.path(name), "format": "jsonl"}}
        if milvus:
            spec.update(target={"driver": "milvus", "endpoint": self.milvus.uri}, collections=[{"to": name}])
        with open(file, "w", encoding="utf-8") as out:
            json.dump(spec, out)
        return name, file

    def holds(self, name):
        elastic_data.compare(KIND, read_lines(self.path(name))["products"], self.index.rows)
        self.ended(name, rows_done=len(self.index.rows), rows_rejected=len(self.index.rejected))

    def survives(self, action, nth=2, times=3, where=page, **values):
        """A job meets the fault so many times, and all its rows arrive."""
        more = values.pop("source", {})
        rule = self.ways[0].on(where, action, nth, times, **values)
        name, file = self.make(**more)
        self.call("run", file, timeout=BOUND)
        assert rule.fired == times, f"{action} {values}: {rule.fired} times of {times}"
        self.ways[0].clear()
        self.holds(name)


def cut_replies_are_asked_for_again(work):
    for after in (-1, 0, 1, 300, 20000):
        work.survives("cut_reply", after=after)


def an_answer_that_lies_about_nothing_but_is_not_whole_is_asked_for_again(work):
    def without_last_hit(_, body):
        answer = json.loads(body)
        answer["hits"]["hits"].pop()
        return json.dumps(answer).encode()

    def without_first_hit(_, body):
        answer = json.loads(body)
        del answer["hits"]["hits"][0]
        return json.dumps(answer).encode()

    def without_hits(_, body):
        answer = json.loads(body)
        answer["hits"]["hits"] = []
        return json.dumps(answer).encode()

    def a_hit_twice(_, body):
        answer = json.loads(body)
        answer["hits"]["hits"][1] = answer["hits"]["hits"][0]
        return json.dumps(answer).encode()

    for change in (without_last_hit, without_first_hit, without_hits, a_hit_twice, lambda _, body: body[:-10],
                   lambda _, body: body[: len(body) // 2], lambda _, body: b"", lambda _, body: b"<html>no</html>"):
        work.survives("change_reply", function=change, times=1)


def failed_shards_and_searches_that_time_out_are_asked_for_again(work):
    def changed(**more):
        def change(_, body):
            answer = json.loads(body)
            shards = more.get("_shards")
            answer.update(more)
            if shards:
                answer["hits"]["hits"], answer["hits"]["total"] = [], {"value": 0, "relation": "eq"}
            return json.dumps(answer).encode()
        return change

    failure = [{"shard": 0, "index": "products", "reason": {"type": "node_disconnected", "reason": "gone"}}]
    for change in (changed(_shards={"total": 1, "successful": 0, "skipped": 0, "failed": 1, "failures": failure}),
                   changed(_shards={"total": 1, "successful": 0, "skipped": 0, "failed": 0}),
                   changed(timed_out=True), changed(terminated_early=True)):
        work.survives("change_reply", function=change, times=2)


def refusals_that_pass_are_waited_for(work):
    def error(status, kind):
        return json.dumps({"error": {"root_cause": [{"type": kind, "reason": "as asked"}], "type": kind, "reason": "as asked"},
                           "status": status})

    for status, body, headers in ((429, error(429, "es_rejected_execution_exception"), ["Retry-After: 1"]),
                                  (429, error(429, "circuit_breaking_exception"), []),
                                  (503, error(503, "cluster_block_exception"), []),
                                  (503, error(503, "search_phase_execution_exception"), []),
                                  (502, "<html>Bad Gateway</html>", []), (504, "", [])):
        work.survives("answer", status=status, body=body, headers=headers)


def a_request_that_fails_before_there_is_a_plan_ends_the_job_and_the_next_call_does_it(work):
    for word in ("_resolve", "_settings", "_mapping", "_search?request_cache", "_count", "_stats", "_refresh", "_msearch"):
        rule = work.ways[0].on(lambda request: word in request.target, "answer", status=503)
        name, file = work.make()
        ended = work.end(work.start("run", file, "--or-resume"), 0, UNAVAILABLE, timeout=BOUND)
        assert rule.fired and (ended.returncode == 0 or "503" in ended.err), (word, ended.err)
        work.ways[0].clear()
        if ended.returncode:
            work.call("run", file, "--or-resume", timeout=BOUND)
        work.holds(name)


def slow_replies_end_and_stuck_ones_are_given_up(work):
    work.survives("slow_reply", piece=2000, pause=0.05, times=4)
    began = time.monotonic()
    work.survives("slow_reply", piece=10, pause=0.5, times=2, source={"request_timeout": "2s"})
    assert time.monotonic() - began < 25


def a_server_that_stays_away_ends_the_job_in_bounded_time(work):
    for action, values in (("answer", {"status": 503, "body": "{}"}), ("cut_reply", {"after": 100}),
                           ("change_reply", {"function": lambda _, body: body[:-1]})):
        name, file = work.make(patience="2s")
        work.ways[0].on(page, action, 3, 10**6, **values)
        began = time.monotonic()
        ended = work.end(work.start("run", file), UNAVAILABLE, jobs.DATA, timeout=BOUND)
        assert time.monotonic() - began < 25, time.monotonic() - began
        assert "127.0.0.1" in ended.err, ended.err
        work.ways[0].clear()
        work.call("resume", name, timeout=BOUND)
        work.holds(name)


def a_point_in_time_and_a_scroll_that_expire_are_begun_again(work):
    for cursor, forget in (("pit", "/_search/point_in_time/_all"), ("scroll", "/_search/scroll/_all")):
        name, file = work.make(cursor=cursor, rate="400 rows/s", include=FEW, page_rows=50, milvus=True)
        process = work.start("run", file)
        for rows in (100, 500):
            work.wait_rows(process, name, rows)
            work.nodes[0].client()("DELETE", forget)
        work.end(process, 0, timeout=120)
        begun = work.ways[0].count("POST", lambda request: request.path.endswith("/point_in_time") or "?scroll=" in request.target
                                   or "&scroll=" in request.target)
        assert begun > SHARDS, f"{begun} were begun for {SHARDS} shards"
        work.ways[0].clear()
        client = oracle.client(work.milvus.uri)
        assert oracle.wait_countable(client, name) == len(work.index.rows)
        client.close()
        elastic_data.compare(KIND, elastic_data.milvus_rows(work.milvus.uri, name, list(work.index.rows), FEW), work.index.rows,
                             FEW)
        assert work.status(name)["verdict"]["state"] == "equal"


def with_two_endpoints_one_that_refuses_costs_nothing(work):
    work.ways[0].broken = True
    name, file = work.make(ways=work.ways, patience="1s")
    work.call("run", file, timeout=BOUND)
    work.ways[0].broken = False
    work.holds(name)


def a_node_that_dies_of_two_is_replaced_by_the_other(work):
    name, file = work.make(ways=[work.ways[1], work.ways[0]], rate="400 rows/s", patience="60s")
    process = work.start("run", file)
    work.wait_rows(process, name, 200)
    work.nodes[1].kill9()
    work.end(process, 0, timeout=120)
    work.holds(name)


def main():
    servers.private_network()
    try:
        elastic_servers.distribution(KIND)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        print("0 passed, 1 skipped")
        return 0
    nodes = elastic_servers.cluster(KIND)
    with elastic_servers.started(*nodes), FaultProxy(nodes[0].port) as first, FaultProxy(nodes[1].port) as second, \
            servers.MilvusStandalone() as milvus, Faults(nodes, (first, second), milvus) as work:
        return jobs.run_checks([cut_replies_are_asked_for_again,
                                an_answer_that_lies_about_nothing_but_is_not_whole_is_asked_for_again,
                                failed_shards_and_searches_that_time_out_are_asked_for_again,
                                refusals_that_pass_are_waited_for, a_request_that_fails_before_there_is_a_plan_ends_the_job_and_the_next_call_does_it,
                                slow_replies_end_and_stuck_ones_are_given_up,
                                a_server_that_stays_away_ends_the_job_in_bounded_time,
                                a_point_in_time_and_a_scroll_that_expire_are_begun_again,
                                with_two_endpoints_one_that_refuses_costs_nothing,
                                a_node_that_dies_of_two_is_replaced_by_the_other], work)


if __name__ == "__main__":
    sys.exit(main())
