#!/bin/sh
# Makes the pictures in this folder: one and the same, red, green, blue and
# grey in its corners, in every form that the tests need and Go cannot write.
# Needs ImageMagick 6, libjpeg-turbo's tools and libwebp's.
set -eu
cd "$(dirname "$0")"
p=$(mktemp --suffix .ppm)
a=$(mktemp --suffix .png)
trap 'rm -f "$p" "$a" "$a.2"' EXIT
convert -size 24x16 xc:'#e02020' xc:'#20c020' +append \
	\( -size 24x16 xc:'#2020e0' xc:'#808080' +append \) -append -strip "$p"
convert "$p" -alpha set -region 24x16+24+16 -channel A -evaluate set 0 +channel +region "$a"

cjpeg -quality 90 -progressive "$p" >progressive.jpg
cjpeg -quality 90 -restart 1 "$p" >restart.jpg
cjpeg -quality 90 -sample 1x1 "$p" >444.jpg
cjpeg -quality 90 -sample 4x1 "$p" >411.jpg
cjpeg -quality 90 -sample 1x2 "$p" >440.jpg
cjpeg -quality 90 -sample 3x1 "$p" >311.jpg
cjpeg -quality 90 -rgb "$p" >rgb.jpg
cjpeg -quality 90 -optimize -grayscale "$p" >grey.jpg
cjpeg -quality 90 -arithmetic "$p" >arithmetic.jpg
printf '0;\n1;\n2;\n' | cjpeg -quality 90 -scans /dev/stdin "$p" >separate.jpg
convert "$p" -colorspace CMYK -quality 95 cmyk.jpg

convert "$p" -depth 16 -define png:bit-depth=16 -define png:color-type=2 -strip 16bit.png
convert "$p" -interlace PNG -strip interlaced.png
convert "$p" -colors 4 -strip PNG8:palette.png
convert "$a" -strip PNG32:alpha.png
convert "$p" -interlace GIF interlaced.gif
convert -delay 10 "$p" \( "$p" -negate \) \( "$p" -flop \) -loop 0 animated.gif
convert -dispose none -page 64x64+8+8 "$p" offset.gif

cwebp -quiet -q 90 "$p" -o lossy.webp
cwebp -quiet -lossless "$p" -o lossless.webp
cwebp -quiet -q 90 "$a" -o alpha.webp
convert "$p" -negate png:"$a.2"
img2webp -lossless "$a" "$a.2" -o animated.webp >/dev/null

convert "$p" BMP3:24bit.bmp
convert "$p" -colors 4 -type Palette BMP3:palette.bmp
convert "$a" BMP:alpha.bmp
convert "$p" -compress none none.tiff
convert "$p" -compress lzw lzw.tiff
convert "$p" -compress zip zip.tiff
convert "$p" -compress none -depth 16 16bit.tiff
convert "$p" -endian MSB -compress none msb.tiff
convert "$p" -compress jpeg jpeg.tiff
convert "$p" -colorspace CMYK cmyk.tiff
