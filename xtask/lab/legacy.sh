# Servers of the kinds `legacy` (Images v1 beside v2.5) and `v1` (Images v1 alone): Glance
# 15.0.2 of 2017 on Python 2.7, an API and a registry process each. Read by `lab`.

legacy_apis() { echo 'v1 v2'; }
v1_apis() { echo v1; }
# Asks the registry as well.
legacy_answers() { gets "$1" '/v1/images?limit=1'; }
v1_answers() { legacy_answers "$1"; }

is_python27() { "$1" -c 'import sys, ssl, sqlite3; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; }

# Prints the interpreter: GLANCE_LAB_PYTHON27, or that of PATH, of pyenv, of Debian bullseye.
find_python27() {
    local candidate
    if [ "${GLANCE_LAB_PYTHON27:-}" != bullseye ]; then
        for candidate in "${GLANCE_LAB_PYTHON27:-}" python2.7 \
            "$(ls -d "$(pyenv root 2>/dev/null)"/versions/2.7*/bin/python2.7 2>/dev/null | head -n 1)"; do
            if [ -n "$candidate" ] && is_python27 "$candidate"; then
                command -v "$candidate"
                return
            fi
        done
    fi
    bullseye_python27
}

# Debian bullseye was the last with Python 2.7: its packages are unpacked into the lab, from
# the mirror that apt is set up for; nothing is installed into the system.
bullseye_python27() {
    local root=$lab/bullseye apt=$lab/bullseye/.apt mirror package options
    if [ ! -x "$root/usr/bin/python2.7" ]; then
        # shellcheck disable=SC2016 # apt's own variable
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
            'Origin: Debian' 'Label: Debian' | head -n 1)
        if [ -z "$mirror" ]; then
            echo 'lab: there is no Python 2.7, and apt is set up for no Debian mirror to take it from' >&2
            return 1
        fi
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" \
            >"$apt/sources.list"
        : >"$apt/status"
        options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=-
            -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status"
            -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false)
        (
            cd "$apt/packages"
            apt-get "${options[@]}" update
            apt-get "${options[@]}" download python2.7 python2.7-minimal libpython2.7-stdlib \
                libpython2.7-minimal libssl1.1 libffi7
        ) >&2
        for package in "$apt"/packages/*.deb; do dpkg-deb -x "$package" "$root"; done
        rm -rf "$apt"
    fi
    echo "$root/usr/bin/python2.7"
}

use_bullseye_libraries() {
    [ -d "$lab/bullseye" ] || return 0
    LD_LIBRARY_PATH=$(echo "$lab"/bullseye/usr/lib/*-linux-gnu)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
}

legacy_install() {
    local env=$lab/legacy-env tools=$lab/legacy-tools python27
    cmp -s "$here/legacy.txt" "$env/installed" && return
    echo 'lab: installing Glance 15.0.2'
    python27=$(find_python27)
    use_bullseye_libraries
    if ! is_python27 "$python27"; then
        echo "lab: no usable Python 2.7 ($python27)" >&2
        return 1
    fi
    rm -rf "$env" "$tools" "$lab/legacy.sqlite"
    "$python" -m venv "$tools"
    # The last series that can make an environment of Python 2.7.
    "$tools/bin/pip" install -q --disable-pip-version-check 'virtualenv<20.16'
    "$tools/bin/virtualenv" -q -p "$python27" --pip 20.3.4 --setuptools 44.1.1 --wheel 0.37.1 "$env"
    if ! "$env/bin/pip" install -q --no-compile -r "$here/legacy.txt" >"$tools/log" 2>&1; then
        tail -n 20 "$tools/log" >&2
        return 1
    fi
    legacy_empty_database
    rm -rf "$tools"
    cp "$here/legacy.txt" "$env/installed"
}

# Making the schema takes many seconds: it is made once, and copied.
legacy_empty_database() {
    local at=$lab/legacy-env/schema
    mkdir -p "$at"
    legacy_config "$at" registry 0 0
    if ! "$lab/legacy-env/bin/glance-manage" --config-file "$at/registry.conf" db_sync >"$at/log" 2>&1; then
        tail -n 20 "$at/log" >&2
        return 1
    fi
    mv "$at/glance.sqlite" "$lab/legacy.sqlite"
}

legacy_config() { # DIRECTORY SERVICE PORT REGISTRY_PORT [LINE]
    cp "$here/legacy-paste.ini" "$1/paste.ini"
    cp "$here/schema-image.json" "$1/"
    echo '{"context_is_admin": "role:admin", "default": "", "publicize_image": "role:admin or user:None"}' \
        >"$1/policy.json"
    cat >"$1/$2.conf" <<CONF
[DEFAULT]
bind_host = 127.0.0.1
bind_port = $3
registry_host = 127.0.0.1
registry_port = $4
workers = 0
enable_v1_api = True
enable_v1_registry = True
send_identity_headers = True
log_file = $1/$2-service.log
${5:-}
[database]
connection = sqlite:///$1/glance.sqlite
sqlite_synchronous = False
[glance_store]
stores = file,http
default_store = file
filesystem_store_datadir = $1/images
[oslo_policy]
policy_file = $1/policy.json
[paste_deploy]
config_file = $1/paste.ini
CONF
}

legacy_start() { # NAME PORT [LINE of the API's configuration]
    local at=$lab/$1 bin=$lab/legacy-env/bin registry_port=$(($2 - 101))
    use_bullseye_libraries
    mkdir -p "$at/images"
    [ -e "$at/glance.sqlite" ] || cp "$lab/legacy.sqlite" "$at/glance.sqlite"
    legacy_config "$at" registry "$registry_port" "$registry_port"
    legacy_config "$at" api "$2" "$registry_port" "${3:-}"
    launch "$1" registry "$bin/glance-registry" --config-file "$at/registry.conf"
    launch "$1" api "$bin/glance-api" --config-file "$at/api.conf"
}

v1_start() { legacy_start "$1" "$2" 'enable_v2_api = False'; }
