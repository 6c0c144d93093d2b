# The server of the kind `keystone`: Keystone 30.0.0 under uWSGI, in the environment of today's
# Glance. Read by `lab`.

keystone_apis() { echo v3; }
keystone_answers() { gets "$1" /v3; }

keystone_start() { # NAME PORT
    local at=$lab/$1
    keystone_config "$at"
    # The marker comes last: what broke off is begun again.
    if [ ! -e "$at/made" ]; then
        rm -rf "$at"/{keystone.sqlite*,fernet}
        mkdir -m 700 "$at/fernet"
        keystone_manage "$at" db_sync
        write_ahead "$at/keystone.sqlite"
        keystone_manage "$at" fernet_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
        keystone_manage "$at" bootstrap --bootstrap-password secret
        touch "$at/made"
    fi
    OS_KEYSTONE_CONFIG_DIR=$at serve "$1" "$2" keystone_wsgi 1
}

keystone_manage() { # DIRECTORY COMMAND...
    local at=$1
    shift
    if ! PYTHONWARNINGS=ignore "$lab/today-env/bin/keystone-manage" --config-file "$at/keystone.conf" "$@" \
        >"$at/manage.log" 2>&1; then
        tail -n 20 "$at/manage.log" >&2
        return 1
    fi
}

keystone_config() { # DIRECTORY
    cat >"$1/keystone.conf" <<CONF
[DEFAULT]
log_file = $1/keystone.log
[database]
connection = sqlite:///$1/keystone.sqlite?timeout=60
sqlite_synchronous = false
[token]
provider = fernet
expiration = 3600
[identity]
password_hash_rounds = 4
[fernet_tokens]
key_repository = $1/fernet
[fernet_receipts]
key_repository = $1/fernet
[oslo_middleware]
enable_proxy_headers_parsing = true
CONF
}

# Users, the catalog and clouds.yaml, where they are not what seed.py makes of `lab env`.
keystone_seed() {
    local seed
    seed=$(print_env && { ! alive keystone-other || echo other; } && cat "$here/seed.py")
    [ ! -e "$lab/clouds.yaml" ] || [ "$seed" != "$(cat "$lab/keystone/seeded" 2>/dev/null)" ] || return 0
    print_env | "$lab/today-env/bin/python" "$here/seed.py"
    echo "$seed" >"$lab/keystone/seeded"
}
