# Servers of the kinds `today` (Glance 33.0.0 without Keystone, every request an admin's) and
# `region` (the same with Keystone: a region of its catalog), under uWSGI, Images v2. Read by
# `lab`.

today_apis() { echo v2; }
region_apis() { echo v2; }
today_answers() { gets "$1" '/v2/images?limit=1'; }
region_answers() { gets "$1" /healthcheck; }

# With Keystone, which shares the environment, and the certificates of the TLS fronts.
today_install() {
    local env=$lab/today-env
    cmp -s "$here/today.txt" "$env/installed" && return
    echo 'lab: installing Glance 33.0.0 and Keystone 30.0.0'
    if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; then
        echo "lab: $python is not Python 3.11 or newer with venv: set GLANCE_LAB_PYTHON" >&2
        return 1
    fi
    rm -rf "$env" "$lab/today.sqlite"
    "$python" -m venv "$env"
    "$env/bin/pip" install -q --disable-pip-version-check -r "$here/today.txt"
    today_empty_database
    "$env/bin/python" "$here/certificates.py" "$lab/tls"
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
    write_ahead "$at/glance.sqlite"
    mv "$at/glance.sqlite" "$lab/today.sqlite"
}

# A database that several processes write.
write_ahead() { # DATABASE
    "$python" -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("pragma journal_mode = wal")' "$1"
}

today_config() { # DIRECTORY PORT [LINES about who may do what]
    # The schema of some properties, as packages ship it: the wheel lacks it.
    cp "$lab/today-env/etc/glance/glance-api-paste.ini" "$here/schema-image.json" "$1/"
    cat >"$1/glance-api.conf" <<CONF
[DEFAULT]
log_file = $1/glance.log
worker_self_reference_url = http://127.0.0.1:$2
node_staging_uri = file://$1/staging/
enabled_backends = main:file, second:file
[glance_store]
default_backend = main
[main]
filesystem_store_datadir = $1/images
[second]
filesystem_store_datadir = $1/second
[os_glance_staging_store]
filesystem_store_datadir = $1/staging
[os_glance_tasks_store]
filesystem_store_datadir = $1/tasks
[database]
connection = sqlite:///$1/glance.sqlite?timeout=60
sqlite_synchronous = false
[oslo_concurrency]
lock_path = $1/lock
[oslo_middleware]
enable_proxy_headers_parsing = true
[paste_deploy]
config_file = $1/glance-api-paste.ini
${3:-}
CONF
}

# uWSGI with its defaults set right. --http-chunked-input: else a chunked upload arrives empty.
# Connection: close, since uWSGI closes each connection after its answer and does not say so.
serve() { # NAME PORT MODULE PROCESSES
    local env=$lab/today-env
    PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore \
        launch "$1" uwsgi "$env/bin/uwsgi" --chdir "$lab/$1" \
        --http-socket "127.0.0.1:$2" --pythonpath "$here" --module "$3" --virtualenv "$env" \
        --master --processes "$4" --threads 8 --lazy-apps --need-app \
        --http-chunked-input --http-raw-body --http-auto-chunked --add-header 'Connection: close' \
        --buffer-size 65535 --socket-timeout 60 --listen 100 --die-on-term --no-orphans \
        --disable-logging
}

glance_start() { # NAME PORT [LINES]
    local at=$lab/$1
    mkdir -p "$at"/{images,second,staging,tasks}
    today_config "$at" "$2" "${3:-}"
    [ -e "$at/glance.sqlite" ] || cp "$lab/today.sqlite" "$at/glance.sqlite"
    OS_GLANCE_CONFIG_DIR=$at serve "$1" "$2" today_wsgi "${GLANCE_LAB_WORKERS:-2}"
}

today_start() { # NAME PORT
    # Without a token the context is an admin's but has no roles, and the default policy
    # looks only at roles: it would refuse everything.
    mkdir -p "$lab/$1"
    echo '"context_is_admin": "@"' >"$lab/$1/policy.yaml"
    glance_start "$1" "$2"
}

# The Keystone that a region belongs to.
keystone_of() { # NAME
    case $1 in
        *-other) echo keystone-other ;;
        *) echo keystone ;;
    esac
}

region_start() { # NAME PORT
    local identity
    identity=$(url "$(keystone_of "$1")")
    glance_start "$1" "$2" "flavor = keystone
[keystone_authtoken]
www_authenticate_uri = $identity
auth_url = $identity
interface = public
auth_type = password
username = glance
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles_required = true"
}
