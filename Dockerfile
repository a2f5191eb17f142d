# syntax=docker/dockerfile:1
# A Moodle image with moodlectl as process 1. Works with docker build (BuildKit), podman build and buildah, on amd64 and arm64.
#
# Moodle comes from one of three places:
#   --build-context moodle=DIR          a tree on this machine
#   --build-arg MOODLE_TREE=PATH        a tree inside this folder
#   --build-arg MOODLE_SHA256=...       the pinned release (MOODLE_URL); the checksum is the one that Moodle publishes beside the file
# No configuration and no secret is in the image: everything that varies comes when the container starts.

ARG DEBIAN=docker.io/library/debian:bookworm-slim

# ---- the two programs ---------------------------------------------------------------------------------------------
FROM ${DEBIAN} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        cmake gcc libc6-dev libcmocka-dev libcurl4-openssl-dev libhiredis-dev libjansson-dev libmariadb-dev libpq-dev libssl-dev libuv1-dev \
        ninja-build nginx-light php-cli php-fpm pkg-config procps \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# model is about the protocol and its document, not about this build; it wants a minute and python3
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
    && ninja -C /build \
    && ctest --test-dir /build --output-on-failure --exclude-regex '^(model|test_door)$' \
    && DESTDIR=/out ninja -C /build install

# ---- Moodle's code ------------------------------------------------------------------------------------------------
# --build-context moodle=DIR takes the place of this stage. By default it holds nothing of Moodle.
FROM scratch AS moodle
ARG MOODLE_TREE=LICENSE
COPY ${MOODLE_TREE} /

FROM ${DEBIAN} AS code
ARG MOODLE_URL=https://download.moodle.org/download.php/direct/stable405/moodle-4.5.6.tgz
ARG MOODLE_SHA256=
COPY --from=moodle / /srv/moodle/
RUN set -eu; \
    if [ ! -f /srv/moodle/version.php ]; then \
        [ -n "$MOODLE_SHA256" ] || { echo "no Moodle: give --build-context moodle=DIR, or --build-arg MOODLE_SHA256=... of $MOODLE_URL" >&2; exit 1; }; \
        apt-get update; \
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates curl; \
        curl -fsSL --retry 3 -o /tmp/moodle.tgz "$MOODLE_URL"; \
        echo "$MOODLE_SHA256  /tmp/moodle.tgz" | sha256sum -c -; \
        rm -rf /srv/moodle && mkdir /srv/moodle; \
        tar -xzf /tmp/moodle.tgz -C /srv/moodle --strip-components=1 --no-same-owner; \
    fi; \
    rm -rf /srv/moodle/.git /srv/moodle/config.php; \
    chown -R 0:0 /srv/moodle; \
    chmod -R u=rwX,go=rX /srv/moodle
COPY templates/config-stub.php /srv/moodle/config.php
RUN chmod 0444 /srv/moodle/config.php

# ---- the image ----------------------------------------------------------------------------------------------------
FROM ${DEBIAN}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libcurl4 libhiredis0.14 libjansson4 libmariadb3 libpq5 libssl3 libuv1 nginx-light tzdata \
        php-cli php-curl php-fpm php-gd php-intl php-mbstring php-mysql php-pgsql php-redis php-soap php-xml php-zip php8.2-opcache \
    && rm -rf /var/lib/apt/lists/* /var/log/* /etc/nginx/sites-enabled/* /var/www/html \
    && mkdir -p /run/moodlectl /var/cache/moodlectl /var/www/moodledata /etc/moodlectl \
    && chown www-data:www-data /var/cache/moodlectl /var/www/moodledata
COPY --from=build /out/usr/ /usr/
COPY --from=code /srv/moodle/ /srv/moodle/
# The code's version and plugin hash are read once, here: a member starts seconds faster, and only a Moodle that PHP can read
# becomes an image. The second line proves the programs' libraries.
RUN moodlectl-role prepare --code-info >/etc/moodlectl/code.json && cat /etc/moodlectl/code.json \
    && moodlectl version && /usr/sbin/php-fpm8.2 -v && php -r 'foreach (["pgsql", "mysqli", "redis", "curl", "gd", "intl", "mbstring", "xml", "zip", "soap", "sodium", "Zend OPcache"] as $e) { if (!extension_loaded($e)) { fwrite(STDERR, "$e is missing\n"); exit(1); } }'
ENV LANG=C.UTF-8
EXPOSE 8080
STOPSIGNAL SIGTERM
# `docker run IMAGE` runs Moodle; `docker run IMAGE bash` executes bash; `docker run IMAGE config check` is moodlectl's own command.
ENTRYPOINT ["moodlectl", "run"]
