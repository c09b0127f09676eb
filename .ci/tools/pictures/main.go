// Command pictures writes distinct pictures for tests, named after the users of
// photosync simulate: pictures FOLDER NUMBER SERIES. Another series, other pictures.
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: pictures FOLDER NUMBER SERIES")
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	series, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		img := image.NewRGBA(image.Rect(0, 0, 64, 64))
		for p := range 64 * 64 {
			img.Set(p%64, p/64, color.RGBA{uint8(i * 5), uint8(series * 40), uint8(p / 64 * 4), 255})
		}
		f, err := os.Create(filepath.Join(os.Args[1], fmt.Sprintf("user%04d@example.com.png", i)))
		if err == nil {
			err = png.Encode(f, img)
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
