"""FAISS Flat to Parquet files for an import, against pymilvus's LocalBulkWriter making such files of the same rows, which
it is given ready in memory. For the record: no bar.

    python3 bench/bulk_writer.py [--rows 100000 --dim 128] [--pairs 3] [--dir FOLDER]"""

import os
import sys
import time

from common import Folder, Run, arguments, job, say_machine, verdict, write_flat


def theirs(vectors, folder):
    """Seconds to append and commit all rows, and CPU seconds."""
    from pymilvus import CollectionSchema, DataType, FieldSchema
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True),
                               FieldSchema("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])])
    began, cpu = time.monotonic(), time.process_time()
    with LocalBulkWriter(schema=schema, local_path=folder, chunk_size=512 << 20, file_type=BulkFileType.PARQUET) as writer:
        for number, vector in enumerate(vectors):
            writer.append_row({"id": number, "vector": vector})
        writer.commit()
    os.sync()
    return time.monotonic() - began, time.process_time() - cpu


def main():
    import numpy

    args = arguments(__doc__, rows=100000, dim=128, pairs=3)
    say_machine()
    walls, cpus = [], []
    with Folder(args.dir) as folder:
        source = folder.join("flat.index")
        write_flat(source, args.rows, args.dim)
        vectors = numpy.fromfile(source, dtype="f4", offset=os.path.getsize(source) - args.rows * args.dim * 4)
        vectors = vectors.reshape(args.rows, args.dim)
        config = job(folder.join("job.yaml"), "files", {"driver": "faiss", "path": source},
                     {"driver": "files", "path": folder.join("out"), "format": "parquet"}, verify="none")
        for pair in range(args.pairs):
            folder.empty("out", "state", "theirs")
            wall, cpu = theirs(vectors, folder.join("theirs"))
            ours = Run(args.build, "run", config, "--state-dir", folder.join("state"))
            walls.append(ours.wall / wall)
            cpus.append(ours.cpu / cpu)
            print(f"pair {pair + 1}: mmresume {ours.wall:.3f} s (cpu {ours.cpu:.2f} s)  LocalBulkWriter {wall:.3f} s (cpu {cpu:.2f} s)")
            sys.stdout.flush()
        verdict("wall, mmresume to Parquet / LocalBulkWriter", walls, None)
        verdict("CPU, mmresume to Parquet / LocalBulkWriter", cpus, None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
