#!/bin/sh
# Starts RabbitMQ in its container with the users of definitions.json, whose passwords are in the environment.
# They are imported at each start, so that changed passwords and rights take effect.
set -eu

folder=/etc/rabbitmq
umask 077
sed -e "s/DIALPASS_PASSWORD/$RABBITMQ_DEFAULT_PASS/" \
    -e "s/AUTH_PASSWORD/$AUTH_PASSWORD/" \
    -e "s/SMS_PASSWORD/$SMS_PASSWORD/" \
    -e "s/EVENTS_PASSWORD/$EVENTS_PASSWORD/" \
    -e "s/MONITOR_PASSWORD/$MONITOR_PASSWORD/" \
    /opt/dialpass/definitions.json >"$folder/definitions.json"
echo "load_definitions = $folder/definitions.json" >"$folder/conf.d/20-definitions.conf"
chown rabbitmq "$folder/definitions.json" "$folder/conf.d/20-definitions.conf"
umask 022
exec docker-entrypoint.sh rabbitmq-server
