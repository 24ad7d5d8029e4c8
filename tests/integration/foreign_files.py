"""Job files of milvus-migration and MilvusDM as their documentation gives them, with endpoints, paths and names put in.

Knows nothing of mmresume."""


def store(address, bucket, folder, access, secret, outputDir=True):
    """The keys of a place in an object store, as lines below target.remote or source.remote."""
    lines = [f"outputDir: {folder}"] if outputDir else []
    lines += ["cloud: aws", f"endpoint: {address}", "region: us-east-1", f"bucket: {bucket}", f"ak: {access}",
              f"sk: {secret}", "useIAM: false", "useSSL: false", "checkBucket: true"]
    return "".join(f"    {line}\n" for line in lines)


def worker(mode):
    return f"""dumper:
  worker:
    limit: 20           # Number of collections allowed for concurrent dumping
    workMode: {mode}
    reader:
      bufferSize: 1024  # read data buffer size,  unit is KB
    writer:
      bufferSize: 1024 # write data buffer size, unit is KB

loader:
  worker:
    limit: 20   # Number of collections allowed for concurrent loading
"""


def milvus(endpoint):
    return f"""  milvus2x: # milvus2x connect info
    endpoint: {endpoint}
    username: root
    password: Milvus-is-secret
"""


def faiss(path, endpoint, name, dim, metric="L2", target="  mode: remote\n  remote:\n"):
    return f"""{worker("faiss")}
source:
  mode: local   # local or remote
  local:
    faissFile: {path}

target:
{target}
{milvus(endpoint)}
  create:           # create collection info:
    collection:
      name: {name}
      shardsNum: 2
      dim: {dim}
      metricType: {metric}
"""


def milvus1x(meta, source, endpoint, target):
    """meta, source: the lines below these keys."""
    return f"""{worker("milvus1x")}
meta:
{meta}
source:
{source}
target:
{target}
{milvus(endpoint)}"""


def f2m(path, port, name, dim, mode="append", partition="", metric="L2"):
    return f"""F2M:
  milvus_version: 0.10.5
  data_path: '{path}'
  dest_host: '127.0.0.1'
  dest_port: {port}
  mode: '{mode}'
  dest_collection_name: '{name}'
  dest_partition_name: '{partition}'
  collection_parameter:
    dimension: {dim}
    index_file_size: 1024
    metric_type: '{metric}'
"""


def h2m(port, name, dim, paths=None, folder="", mode="overwrite", partition="", metric="L2"):
    listed = "".join(f"\n    - {path}" for path in paths or [])
    return f"""H2M:
  milvus-version: 0.10.5
  data_path:{listed}
  data_dir: {f"'{folder}'" if folder else ""}
  dest_host: '127.0.0.1'
  dest_port: {port}
  mode: '{mode}'        # 'skip/append/overwrite'
  dest_collection_name: '{name}'
  dest_partition_name: {f"'{partition}'" if partition else ""}
  collection_parameter:
    dimension: {dim}
    index_file_size: 1024
    metric_type: '{metric}'
"""


def _source(folder, collection, partitions, mysql):
    wanted = "".join(f"\n      - '{partition}'" for partition in partitions)
    lines = "".join(f"\n    {key}: '{value}'" for key, value in (mysql or {}).items())
    return f"""  milvus_version: 0.10.5
  source_milvus_path: '{folder}'
  mysql_parameter:{lines}
  source_collection:
    {collection}:{wanted}
"""


def m2m(folder, collection, port, partitions=(), mode="skip", mysql=None):
    return f"""M2M:
{_source(folder, collection, partitions, mysql)}  dest_host: '127.0.0.1'
  dest_port: {port}
  mode: '{mode}' # 'skip/append/overwrite'
"""


def m2h(folder, collection, out, partitions=(), mysql=None):
    return f"""M2H:
{_source(folder, collection, partitions, mysql)}  data_dir: '{out}'
"""


def elasticsearch(url, index, fields, name, endpoint, more=""):
    """fields: the lines below meta.fields; more: further keys of source.es."""
    return f"""dumper:
  worker:
    workMode: elasticsearch
    reader:
      bufferSize: 2500
meta:
  mode: config
  index: {index}
  fields:
{fields}
  milvus:
    collection: {name}
    closeDynamicField: false
    shardNum: 2
    consistencyLevel: Customized
source:
  es:
    urls:
      - {url}
    username: xxx
    password: xxx
{more}
target:
  mode: remote
  remote:
    outputDir: migration/test/xx
    cloud: aws
    region: us-west-2
    bucket: xxxxxxxxxx
    useIAM: true
    checkBucket: false
{milvus(endpoint)}"""
