#!/bin/sh
# Makes the pictures in this folder: one and the same, red, green, blue and
# grey in its corners, in every form that the tests need and Go cannot write.
# Needs ImageMagick 6, libjpeg-turbo's tools, libwebp's, exiftool, and colord's
# sRGB profile.
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
convert "$p" -interlace plane -compress none planar.tiff

# As cameras, phones and picture editors leave them: held sideways, where and when,
# by whom, with a preview, and with the colour profile that has to stay.
t=$(mktemp --suffix .jpg)
trap 'rm -f "$p" "$a" "$a.2" "$t"' EXIT
convert "$p" -resize 12x8! -strip "$t"
cjpeg -quality 90 "$p" >camera.jpg
exiftool -q -overwrite_original -n -Orientation=1 -Make=Secret -GPSLatitude=52.52 -GPSLongitude=13.405 \
	-GPSLatitudeRef=N -GPSLongitudeRef=E -DateTimeOriginal='2024:05:06 07:08:09' "-ThumbnailImage<=$t" \
	-XMP:Creator=Secret -IPTC:By-line=Secret -Comment=Secret \
	"-ICC_Profile<=/usr/share/color/icc/colord/sRGB.icc" camera.jpg
convert "$p" -rotate -90 ppm:- | cjpeg -quality 90 >sideways.jpg
exiftool -q -overwrite_original -n -Orientation=6 -Make=Secret sideways.jpg
convert "$p" -strip camera.png
exiftool -q -overwrite_original -n -Orientation=1 -Make=Secret -GPSLatitude=52.52 -XMP:Creator=Secret -Comment=Secret \
	"-ICC_Profile<=/usr/share/color/icc/colord/sRGB.icc" camera.png
convert "$p" -compress zip camera.tiff
exiftool -q -overwrite_original -n -Orientation=1 -Make=Secret -XMP:Creator=Secret \
	"-ICC_Profile<=/usr/share/color/icc/colord/sRGB.icc" camera.tiff
cwebp -quiet -q 90 "$p" -o camera.webp
exiftool -q -overwrite_original -n -Orientation=1 -Make=Secret -GPSLatitude=52.52 -XMP:Creator=Secret camera.webp
