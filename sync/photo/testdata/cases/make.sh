#!/bin/sh
# Makes want/*.png: what Chromium shows of the pictures in this folder, and what
# ImageMagick reads of those that Chromium does not show, in at most 150 pixels. Needs
# chromium and imagemagick of Debian 12. The pictures themselves were made for this
# purpose and have no script.
set -eu
cd "$(dirname "$0")"
mkdir -p want
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
for f in *.*; do
	case $f in
	make.sh | 04-* | 14-*) continue ;; # refused
	*.tif) convert "$f[0]" -background white -alpha remove -colorspace sRGB "$t/shot.png" ;;
	*)
		size=$(identify -ping -format '%w %h\n' "$f[0]" 2>/dev/null | head -1)
		case $f in 03-*) size='241 317' ;; esac # upright
		set -- $size
		printf '<body style="margin:0;background:#fff"><img src="file://%s" style="display:block">' "$PWD/$f" >"$t/page.html"
		chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-color-profile=srgb \
			--window-size="$1,$(($2 + 200))" --screenshot="$t/shot.png" "$t/page.html" >/dev/null 2>&1
		convert "$t/shot.png" -crop "$1x$2+0+0" +repage "$t/shot.png"
		;;
	esac
	convert "$t/shot.png" -resize "150x150>" -strip -define png:color-type=2 -depth 8 "want/$f.png"
done
