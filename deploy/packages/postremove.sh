#!/bin/sh
# Removal keeps configuration, secrets and state; only a purge (deb) takes them. The
# user stays: its number must not pass to somebody else who then owns old files.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/photosync /etc/photosync
fi
