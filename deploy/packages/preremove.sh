#!/bin/sh
# $1 is "remove" (deb) or 0 (rpm) when the package goes, and not when it is upgraded. A
# run in progress stops as with Ctrl-C, and has recorded what it did.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now photosync.timer || true
		systemctl stop photosync.service 'photosync@*.service' || true
	fi
	;;
esac
