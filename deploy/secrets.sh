#!/bin/sh
# Makes the secrets of docker-compose.yml: appends those that are missing to .env, which only its owner can
# read. Those of an earlier `make run` are taken over.
set -eu

cd "$(dirname "$0")/.."
umask 077
touch .env
chmod 600 .env

# Returns so many random bytes in hexadecimal digits.
random() {
    od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# add NAME BYTES [FILE]: the value is that of a file of `make run`, or random.
add() {
    if grep -q "^$1=." .env; then return; fi
    # A line without a newline at its end would swallow the next one.
    if [ -s .env ] && [ -n "$(tail -c 1 .env)" ]; then echo >>.env; fi
    if [ -n "${3:-}" ] && [ -s ".run/$3" ]; then
        printf '%s=%s\n' "$1" "$(cat ".run/$3")" >>.env
    else
        printf '%s=%s\n' "$1" "$(random "$2")" >>.env
    fi
    echo "made $1 in .env"
}

add CODE_SECRET 32 code_secret
add MESSAGE_SECRET 32 message_secret
add GATEWAY_SECRET 32 gateway_secret
add YUNPIAN_CALLBACK_SECRET 16 callback_secret
# For the simulator, which takes any. An account at Yunpian has its own key.
if ! grep -q "^YUNPIAN_BASE_URL=." .env; then add YUNPIAN_API_KEY 16 yunpian_api_key; fi
for name in MARIADB REDIS RABBITMQ RABBITMQ_AUTH RABBITMQ_SMS RABBITMQ_EVENTS RABBITMQ_MONITOR; do
    add "${name}_PASSWORD" 16
done
