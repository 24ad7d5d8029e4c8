"""Damages Parquet files in thousands of ways and reads them through the format.

A file that is cut or extended must be refused, and one with page checksums whose pages are hit as well: status DATA,
with the byte offset. Any other damage ends with DATA and a byte offset, or with exactly the rows that pyarrow finds in
the damaged bytes. Never a crash, never more than 5 s for a file, never more than 256 MiB of memory.

    python3 damaged_parquet.py --build build/release --count 10000 [--seed 1] [--no-memory]
        --build      build folder with tests/parquet_read_tool
        --no-memory  does not judge the memory: for builds with sanitizers"""

import argparse
import collections
import os
import random
import re
import select
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
sys.path.insert(0, HERE)

import damaged_faiss  # noqa: E402

BATCH = 250  # files in one process
SECONDS_MAX, MEMORY_MAX = 5, 256 << 20

# files


class Case:
    """A whole file: its bytes, where its structure stands, and where bytes are that a checksum vouches for."""

    def __init__(self, name, path, sums):
        import pyarrow.parquet

        self.name, self.sums = name, sums
        with open(path, "rb") as file:
            self.data = file.read()
        size = len(self.data)
        footer = size - 8 - int.from_bytes(self.data[-8:-4], "little")
        meta = pyarrow.parquet.ParquetFile(path).metadata
        starts = []
        for group in range(meta.num_row_groups):
            for column in range(meta.num_columns):
                chunk = meta.row_group(group).column(column)
                starts += [chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset]
        self.places = sorted({p for s in starts for p in range(s, min(s + 40, footer))} | set(range(footer, size)) | {0, 1, 2, 3})
        self.footer = footer


def cases(folder, rows):
    import parquet_files

    table = parquet_files.everything(rows)
    lists = table.select([n for n in table.column_names if "list" in n or "vector" in n])
    flat = table.select([n for n in table.column_names if n not in lists.column_names])
    text = table.select(["id", "text", "q_text", "list_text", "few"])
    options = {
        "plain": {"use_dictionary": False, "compression": "none"},
        "dictionary": {"compression": "none"},
        "snappy": {"compression": "snappy", "row_group_size": 40},
        "zstd": {"compression": "zstd", "data_page_version": "2.0"},
        "gzip": {"compression": "gzip", "data_page_size": 300},
        "lz4": {"compression": "lz4", "data_page_version": "2.0", "data_page_size": 300},
        "sums": {"compression": "none", "write_page_checksum": True, "use_dictionary": False},
        "sums2": {"compression": "zstd", "write_page_checksum": True, "data_page_version": "2.0"},
    }
    found = []
    for name, option in options.items():
        for kind, part in (("flat", flat), ("lists", lists), ("text", text)):
            path = parquet_files.write(folder, f"{kind}-{name}", part, store_schema=False, write_statistics=False, **option)
            found.append(Case(f"{kind}-{name}", path, "write_page_checksum" in option))
    for encoding, names in (("DELTA_BYTE_ARRAY", ["text", "q_text"]), ("DELTA_LENGTH_BYTE_ARRAY", ["text", "q_text"]),
                            ("DELTA_BINARY_PACKED", ["id", "few"])):
        path = parquet_files.write(folder, encoding, text, store_schema=False, use_dictionary=False, compression="none",
                                   column_encoding={n: encoding for n in names})
        found.append(Case(encoding, path, False))
    return found


# damage


def varint(rng, data, places):
    """A number of Thrift's compact protocol becomes another one."""
    at, value = rng.choice(places), rng.choice(damaged_faiss.COUNTS)
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    out += bytes([value])
    return data[:at] + out + data[at + len(out) if rng.random() < 0.5 else at + 1 :]


DAMAGES = [*damaged_faiss.DAMAGES, (varint, 40)]


def damaged(rng, case):
    damage = rng.choices([d for d, _ in DAMAGES], [w for _, w in DAMAGES])[0]
    for _ in range(20):
        changed = damage(rng, case.data, case.places)
        if changed != case.data:
            return damage, changed
    return damaged_faiss.cut, case.data[:-1]


def only_page_bodies(case, data):
    """True when all that differs are bytes of pages that a checksum vouches for."""
    if not case.sums or len(data) != len(case.data):
        return False
    structure = set(case.places)
    differ = [i for i in range(len(data)) if data[i] != case.data[i]]
    return len(differ) > 0 and all(i < case.footer and i not in structure for i in differ)


# reading


def read_many(tool, paths, judge_memory):
    """[(status, rows, text)] for paths; raises on a crash, a hang, or too much memory."""
    done = subprocess.run([tool, "many"], input="".join(p + "\n" for p in paths), capture_output=True, text=True,
                          errors="replace", timeout=SECONDS_MAX * 10 + 0.2 * len(paths))
    lines = [line.split("\t", 3) for line in done.stdout.splitlines() if line.count("\t") >= 3]
    if done.returncode != 0 or not lines or lines[-1][0] != "PEAK":
        raise AssertionError(f"crashed ({done.returncode}) at {paths[len(lines)]}:\n{done.stderr[-3000:]}")
    memory = int(lines.pop()[2]) << 10
    if judge_memory and memory > MEMORY_MAX:
        raise AssertionError(f"{memory >> 20} MiB of memory for {paths[0]} and those after it")
    for (_, milliseconds, _, _), path in zip(lines, paths, strict=True):
        if int(milliseconds) > SECONDS_MAX * 1000:
            raise AssertionError(f"{milliseconds} ms for {path}")
    return [(status, int(rows), text) for status, _, rows, text in lines], memory


def judge(case, damage, data, path, status, text):
    """None, or what is wrong with an outcome."""
    if status == "OK":
        if damage in damaged_faiss.ALWAYS_REFUSED:
            return "a cut or extended file was read"
        return "a page whose checksum is wrong was read" if only_page_bodies(case, data) else None
    if status != "DATA":
        return f"status {status}: {text}"
    if path not in text or not re.search(r": byte \d+: ", text):
        return f"no file or byte offset in: {text}"
    return None


# the rows of what could still be read: pyarrow says, in a process of its own, since damage may kill it


def oracle_loop():
    """Child process: reads "path dump" lines, answers "same", "no", or what differs."""
    import resource

    import pyarrow.parquet

    import parquet_files

    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    for line in sys.stdin:
        path, dump = line.rstrip("\n").split("\t")
        try:
            table = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True).read()
            table.validate(full=True)
            table.to_pydict()
        except Exception:  # noqa: BLE001  pyarrow refuses the file, in whatever way
            print("no", flush=True)
            continue
        with open(dump, "rb") as file:
            found = parquet_files.differences(parquet_files.Rows(file.read()), table)
        print(repr(found) if found else "same", flush=True)


class Oracle:
    """What pyarrow finds in a file; "no" where it refuses, dies or takes too long."""

    def __init__(self):
        self.child = None

    def ask(self, path, dump):
        if self.child is None:
            self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--oracle"], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.child.stdin.write(f"{path}\t{dump}\n")
        self.child.stdin.flush()
        ready, _, _ = select.select([self.child.stdout], [], [], 20)
        answer = self.child.stdout.readline() if ready else ""
        if answer != "":
            return answer.strip()
        self.child.kill()
        error = self.child.communicate()[1]
        self.child = None
        if "Traceback" in error and "MemoryError" not in error:
            return error[-2000:]  # not pyarrow but the comparison failed
        return "no"

    def close(self):
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


# the campaign


def campaign(build, count, seed, folder, judge_memory=True, rows=120):
    tool = os.path.join(build, "tests", "parquet_read_tool")
    rng = random.Random(seed)
    whole = os.path.join(folder, "whole")
    os.makedirs(whole)
    all_cases = cases(whole, rows)
    outcomes, wrong, peak, oracle = collections.Counter(), [], 0, Oracle()
    for start in range(0, count, BATCH):
        batch = []
        for number in range(start, min(start + BATCH, count)):
            case = rng.choice(all_cases)
            damage, data = damaged(rng, case)
            path = os.path.join(folder, f"damaged-{number}.parquet")
            with open(path, "wb") as file:
                file.write(data)
            batch.append((case, damage, data, path))
        results, memory = read_many(tool, [path for *_, path in batch], judge_memory)
        peak = max(peak, memory)
        for (case, damage, data, path), (status, _, text) in zip(batch, results):
            complaint = judge(case, damage, data, path, status, text)
            outcomes[f"{damage.__name__}: {'read' if status == 'OK' else 'refused'}"] += 1
            if complaint is None and status == "OK":
                subprocess.run([tool, "dump", path + ".dump", path], check=True, capture_output=True, timeout=30)
                answer = oracle.ask(path, path + ".dump")
                os.remove(path + ".dump")
                outcomes[{"same": "same rows as pyarrow", "no": "pyarrow refuses"}.get(answer, "other rows than pyarrow")] += 1
                complaint = None if answer in ("same", "no") else answer
            if complaint is None:
                os.remove(path)
            else:
                wrong.append(f"{case.name}, {damage.__name__}: {path}: {complaint}")
    oracle.close()
    return outcomes, wrong, peak


def main():
    if sys.argv[1:] == ["--oracle"]:
        oracle_loop()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--keep", help="folder for the files; kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-") as folder:
        if arguments.keep:
            folder = arguments.keep
            os.makedirs(folder)
        outcomes, wrong, peak = campaign(arguments.build, arguments.count, arguments.seed, folder, not arguments.no_memory)
    for key, number in sorted(outcomes.items()):
        print(f"{number:7} {key}")
    print(f"{peak >> 20} MiB at most")
    for line in wrong:
        print("WRONG", line)
    print(f"{arguments.count} damaged files, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
