"""The long form of tests/integration/test_elastic.py: 200,000 documents with a field of each type over 5 shards of a real
Elasticsearch 8, Elasticsearch 7 and OpenSearch 2, after updates and deletes, by alias, pattern and filter, into files of
lines of JSON and into a real Milvus; every value of every row is compared with what was indexed.

    tests/campaign/elastic.py [--rows 200000] [--kinds elasticsearch-8,elasticsearch-7,opensearch] [WORD…]

Words: only the checks whose names hold one of them (some are of one kind of server)."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

import test_elastic  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--kinds", default=",".join(test_elastic.KINDS))
    arguments, words = parser.parse_known_args()
    sys.argv[1:] = words
    test_elastic.ROWS, test_elastic.SIZES, test_elastic.KINDS = arguments.rows, {}, tuple(arguments.kinds.split(","))
    began = time.monotonic()
    code = test_elastic.main()
    print(f"{arguments.rows} documents in each; {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
