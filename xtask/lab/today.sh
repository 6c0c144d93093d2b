# Servers of the kind `today`: Glance 33.0.0 under uWSGI, Images v2. Read by `lab`.

today_apis() { echo v2; }
today_ready_path() { echo '/v2/images?limit=1'; }

today_install() {
    local env=$lab/today-env
    cmp -s "$here/today.txt" "$env/installed" && return
    echo 'lab: installing Glance 33.0.0'
    if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; then
        echo "lab: $python is not Python 3.11 or newer with venv: set GLANCE_LAB_PYTHON" >&2
        return 1
    fi
    rm -rf "$env" "$lab/today.sqlite"
    "$python" -m venv "$env"
    "$env/bin/pip" install -q --disable-pip-version-check -r "$here/today.txt"
    today_empty_database
    cp "$here/today.txt" "$env/installed"
}

# Making the schema takes many seconds: it is made once, and copied.
today_empty_database() {
    local at=$lab/today-env/schema
    mkdir -p "$at"
    today_config "$at" 0
    if ! "$lab/today-env/bin/glance-manage" --config-file "$at/glance-api.conf" db_sync >"$at/log" 2>&1; then
        tail -n 20 "$at/log" >&2
        return 1
    fi
    # Several processes write it: log ahead.
    "$python" -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("pragma journal_mode = wal")' "$at/glance.sqlite"
    mv "$at/glance.sqlite" "$lab/today.sqlite"
}

today_config() { # DIRECTORY PORT
    cp "$lab/today-env/etc/glance/glance-api-paste.ini" "$1/"
    # Without a token the context is an admin's but has no roles, and the default policy
    # looks only at roles: it would refuse everything.
    echo '"context_is_admin": "@"' >"$1/policy.yaml"
    cat >"$1/glance-api.conf" <<CONF
[DEFAULT]
log_file = $1/glance.log
worker_self_reference_url = http://127.0.0.1:$2
node_staging_uri = file://$1/staging/
enabled_backends = main:file
[glance_store]
default_backend = main
[main]
filesystem_store_datadir = $1/images
[os_glance_staging_store]
filesystem_store_datadir = $1/staging
[os_glance_tasks_store]
filesystem_store_datadir = $1/tasks
[database]
connection = sqlite:///$1/glance.sqlite?timeout=60
sqlite_synchronous = false
[oslo_concurrency]
lock_path = $1/lock
[paste_deploy]
config_file = $1/glance-api-paste.ini
CONF
}

today_start() { # NAME PORT
    local at=$lab/$1 env=$lab/today-env
    mkdir -p "$at"/{images,staging,tasks}
    today_config "$at" "$2"
    [ -e "$at/glance.sqlite" ] || cp "$lab/today.sqlite" "$at/glance.sqlite"
    # --http-chunked-input: else a chunked upload arrives empty. Connection: close, since
    # uWSGI closes each connection after its answer and does not say so.
    OS_GLANCE_CONFIG_DIR=$at PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore \
        launch "$1" uwsgi "$env/bin/uwsgi" --chdir "$at" \
        --http-socket "127.0.0.1:$2" --pythonpath "$here" --module today_wsgi --virtualenv "$env" \
        --master --processes "${GLANCE_LAB_WORKERS:-2}" --threads 8 --lazy-apps --need-app \
        --http-chunked-input --http-raw-body --http-auto-chunked --add-header 'Connection: close' \
        --buffer-size 65535 --socket-timeout 60 --listen 100 --die-on-term --no-orphans \
        --disable-logging
}
