#!/usr/bin/env bash
# Include direction: base <- bootstrap, coord, supervisor; the three know nothing of each other. And what PID 1 links.
. "$(dirname "$0")/lib.sh"

# deny FOLDER OTHER...: no file of FOLDER includes a header of OTHER
deny() {
    local folder=$1 other hits
    shift
    for other in "$@"; do
        hits=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<](\.\./)*$other/" "$folder"/*.[ch] "$folder"/*.def 2>/dev/null)
        [ "$folder/$other" = bootstrap/coord ] && hits=$(grep -v '^bootstrap/role_main\.c:.*coord/roles\.h' <<<"$hits")
        [ -z "$hits" ] || while read -r line; do wrong "$folder must not include $other: $line"; done <<<"$hits"
    done
}
deny base supervisor bootstrap coord tests
deny supervisor bootstrap coord tests
deny bootstrap supervisor coord tests
deny coord supervisor bootstrap tests

# Libraries by folder, at the source
deny_lib() {
    local folder=$1 re=$2 hits
    hits=$(grep -nE "#[[:space:]]*include[[:space:]]*<($re)" "$folder"/*.[ch] 2>/dev/null)
    [ -z "$hits" ] || while read -r line; do wrong "$folder must not use this library: $line"; done <<<"$hits"
}
deny_lib base 'uv\.h|curl/|openssl/|libpq|postgresql/|mysql|mariadb/|hiredis/'
deny_lib supervisor 'curl/|openssl/|libpq|postgresql/|mysql|mariadb/|hiredis/|netdb\.h|pwd\.h|pthread\.h'
deny_lib coord 'uv\.h|curl/'
deny_lib bootstrap 'uv\.h|libpq|postgresql/|mysql|mariadb/|hiredis/'

# And in the program that was built: libuv and jansson (inside, where their archives are there), libc, nothing that talks to a network.
program=$BUILD/moodlectl
if [ -x "$program" ]; then
    needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for lib in $needed; do
        case $lib in
        libuv.so.* | libjansson.so.* | libc.so.* | ld-linux* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.*) ;;
        libasan.so.* | libubsan.so.*) ;; # a sanitizer build
        *) wrong "$program links $lib" ;;
        esac
    done
    for name in getaddrinfo getpwnam getpwuid getgrnam gethostbyname pthread_create uv_queue_work uv_getaddrinfo uv_spawn uv_fs_open; do
        nm --undefined-only "$BUILD/libsupervisor.a" "$BUILD/libbase.a" | grep -qE " U $name$" && # libuv inside brings its own
            wrong "PID 1 calls $name: names are resolved and work is done in roles"
    done
else
    skip "$program is not built"
fi
finish
