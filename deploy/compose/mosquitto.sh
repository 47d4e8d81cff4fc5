#!/bin/sh
# Mosquitto, told to read its users again when the API has added or revoked a device. For busybox: its image has no more.
set -eu
folder=$1
users() { cksum < "$folder/passwd" 2> /dev/null || echo "$known"; }

known=
known=$(users)
mosquitto -c "$folder/mosquitto.conf" &
broker=$!
# Asked to end, it writes its queues to the disk first.
trap 'kill -TERM "$broker"' TERM INT

while kill -0 "$broker" 2> /dev/null; do
    # In the background, so that a signal does not wait for the second to pass.
    sleep 1 &
    wait $! || true
    now=$(users)
    if [ "$now" != "$known" ]; then
        known=$now
        kill -HUP "$broker"
    fi
done
wait "$broker"
