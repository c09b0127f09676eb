#!/bin/sh
# Before the files: the configuration belongs to this group.
set -e
if ! getent passwd photosync >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/photosync --no-create-home --shell /usr/sbin/nologin photosync
fi
