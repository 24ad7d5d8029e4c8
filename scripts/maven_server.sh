#!/bin/sh
# Installs a server that the tests run from its Maven packages, once for this user, and prints its folder.
# Fails where there is no Maven, or the packages cannot be fetched or are not what they were.
#
#   scripts/maven_server.sh elasticsearch-8|elasticsearch-7|opensearch
set -eu
name=${1:-}
case $name in
elasticsearch-8)
    version=8.19.21 package=org.elasticsearch.distribution.integ-test-zip:elasticsearch
    sum=215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a
    ;;
elasticsearch-7)
    version=7.17.29 package=org.elasticsearch.distribution.integ-test-zip:elasticsearch
    sum=841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf
    ;;
opensearch)
    version=2.19.1 package=org.opensearch.distribution.integ-test-zip:opensearch
    sum=af7152d8b7f6f1cee09d47276b32b70479fe6dd8cdbb61213f84eb7f8098b261
    ;;
*)
    echo "usage: scripts/maven_server.sh elasticsearch-8|elasticsearch-7|opensearch" >&2
    exit 2
    ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mmresume-test
folder=$cache/$name-$version
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

# fetch PACKAGE VERSION SHA256 INTO: a zip by Maven, unpacked
fetch() {
    mvn --batch-mode --quiet "-Dmaven.repo.local=$cache/maven" "$plugin:copy" "-Dartifact=$1:$2:zip" \
        "-DoutputDirectory=$part" >"$part/log" 2>&1 || { cat "$part/log" >&2; exit 1; }
    rm -rf "$cache/maven/$(echo "${1%:*}" | tr . /)"
    zip=$part/${1#*:}-$2.zip
    echo "$3  $zip" | sha256sum --check --quiet >&2
    python3 -m zipfile -e "$zip" "$4"
    rm "$zip"
}

mkdir -p "$cache"
if [ ! -d "$folder" ]; then
    command -v mvn >/dev/null || { echo "$name is not installed: there is no Maven" >&2; exit 1; }
    exec 9>"$cache/maven.lock"
    flock 9 # Maven's own folder is for one at a time
    if [ ! -d "$folder" ]; then
        echo "installing $name $version" >&2
        part=$(mktemp -d "$cache/part.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        fetch "$package" "$version" "$sum" "$part"
        home=$part/${package#*:}-$version
        chmod 755 "$home"/bin/*
        if [ "$name" = opensearch ]; then
            fetch org.opensearch.plugin:opensearch-job-scheduler "$version.0" \
                a54e12582b88a4c173d6e58b16fbc609df12a04eff010ae30396905a1a882bf6 "$home/plugins/opensearch-job-scheduler"
            fetch org.opensearch.plugin:opensearch-knn "$version.0" \
                eab8c9818865bc035212eab5068cdacae164baa09d4c152f49b736d6f6b0e85c "$home/plugins/opensearch-knn"
            # It asks for a scripting language that this distribution lacks, and does without for search and storage.
            sed -i '/^extended.plugins=/s/lang-painless[^;,]*[;,]*//' "$home/plugins/opensearch-knn/plugin-descriptor.properties"
        fi
        mv "$home" "$folder"
    fi
fi
echo "$folder"
