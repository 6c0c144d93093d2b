#!/bin/bash
# Makes docs/progress.txt: the progress of a copy as a terminal of 40, 60, 80 and 200 columns shows it,
# and what is left there after Ctrl-C. It takes tmux, and the debug builds of the program and of the
# embedded Glance: cargo build -p replicator-cli
#                  cargo build -p glance-client --features testing --example embedded_glance
set -eu
cd "$(dirname "$0")/.."
programs=$PWD/target/debug
scratch=$(mktemp -d)
socket="progress-$$"
servers=()
finish() {
    tmux -L "$socket" kill-server 2>/dev/null || true
    kill "${servers[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

serve() { # NAME IMAGES
    sleep 600 | "$programs/examples/embedded_glance" --port 0 --images "$2" --image-bytes 67108864 >"$scratch/$1" &
    servers+=($!)
    until grep -q listening "$scratch/$1"; do sleep 0.1; done
    sed -n 's#listening on http://##p' "$scratch/$1"
}
serve first 30 >/dev/null
first=$(sed -n 's#listening on http://##p' "$scratch/first")

{
    for width in 40 60 80 200; do
        serve "target-$width" 0 >/dev/null
        target=$(sed -n 's#listening on http://##p' "$scratch/target-$width")
        tmux -L "$socket" new-session -d -x "$width" -y 12 -s "w$width" "env PS1='$ ' bash --norc"
        tmux -L "$socket" send-keys -t "w$width" "clear; $programs/glance-replicator livecopy --bwlimit 40M $first $target 2>&1 >/dev/null" Enter
        sleep 7
        echo "== $width columns"
        tmux -L "$socket" capture-pane -p -t "w$width" | tail -n 7
        tmux -L "$socket" send-keys -t "w$width" C-c
        sleep 2
        echo "-- after Ctrl-C"
        tmux -L "$socket" capture-pane -p -t "w$width" | grep -v '^$' | tail -n 3
        echo
    done
} | sed "s#127.0.0.1:[0-9]*#HOST#g" >docs/progress.txt
