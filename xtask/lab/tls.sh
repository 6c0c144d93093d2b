# Servers of the kind `tls`: a TLS front of Keystone or of a region. Read by `lab`.

tls_apis() { echo TLS; }
# Whether it listens: what is behind it may be down.
tls_answers() { : 2>/dev/null <"/dev/tcp/127.0.0.1/$(port "$1")"; }

tls_start() { # NAME PORT
    local target=region-one certificate=right client_ca=()
    case $1 in
        tls-keystone) target=keystone ;;
        tls-two) target=region-two ;;
        tls-wrong-host | tls-expired | tls-unknown-ca) certificate=${1#tls-} ;;
        tls-client) client_ca=("$lab/tls/ca.pem") ;;
    esac
    launch "$1" front "$lab/today-env/bin/python" "$here/tls_front.py" "$lab/$1" "$2" \
        "$(port "$target")" "$lab/tls/$certificate.pem" "${client_ca[@]}"
}
