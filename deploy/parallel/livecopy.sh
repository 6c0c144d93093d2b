#!/bin/sh
# GNU parallel: each of several hosts, reached by ssh, copies one share of the images.
#
#   livecopy.sh SHARDS HOSTS SOURCE TARGET
#
# HOSTS is a file with a host a line (`:` is this one). Each host needs glance-replicator, rsync, and
# clouds.yaml of its own. What is done is noted in ./joblog: with it there, the same command runs only
# the shares that failed or were not begun.
set -eu
[ $# = 4 ] || { sed -n '2,4s/^# *//p' "$0" >&2; exit 2; }
shards=$1 hosts=$2 source=$3 target=$4

resume=
[ ! -e joblog ] || resume=--resume-failed
code=0
# --retries would repeat whatever failed, what nobody but a person can mend as well.
parallel --sshloginfile "$hosts" --jobs 1 --joblog joblog $resume --tag --line-buffer \
    --return "report-{}-of-$shards.json" --cleanup \
    glance-replicator livecopy --shard "{}/$shards" --report "report-{}-of-$shards.json" \
    "$source" "$target" ::: $(seq 0 $((shards - 1))) || code=$?

glance-replicator report merge report-*-of-"$shards".json || code=$?
exit $code
