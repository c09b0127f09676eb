package photo

import (
	"bytes"
	"image/color"
	"math"
	"testing"
	"unicode/utf8"
)

func TestInitialsOfNames(t *testing.T) {
	tests := []struct{ name, email, want string }{
		{"Łukasz Żak", "", "ŁŻ"},
		{"Lukasz Zak", "", "LZ"}, // NFD is composed, see below
		{"Z\u0307aneta Kowalska", "", "ŻK"},
		{"李小龙", "", "李"},
		{"Bruce 李", "", "B"},
		{"김민준", "", "김"},
		{"山田 太郎", "", "山"},
		{"Đặng Thị Hà", "", "ĐH"},
		{"Иван Щукин", "", "ИЩ"},
		{"Madonna", "", "M"},
		{"Ｊａｎｅ Ｄｏｅ", "", "JD"}, // as a Japanese keyboard writes it
		{"ﬁona ﬂynn", "", "FF"},
		{"ʻOkina Kealoha", "", "OK"},
		{"O'Brien-Smith", "", "O"},
		{"van der Berg, Anna", "", "AB"},
		{"ludwig van beethoven", "", "LB"},
		{"Müller, Jürgen", "", "JM"},
		{"Müller, Dr. Jürgen (External)", "", "JM"},
		{"Anna Müller, PhD", "", "AM"},
		{"de la Cruz, María José", "", "MC"},
		{"Dipl.-Ing. Karl Huber", "", "KH"},
		{"Martin L. King Jr.", "", "MK"},
		{"Li Xiaolong (李小龙) [HR]", "", "LX"},
		{"O'Neil (", "", "O"},
		{") Jean-Luc Picard", "", "JP"},
		{"😀 Anna 🎉 Bell 🎉", "", "AB"},
		{"😀🎉", "jane.doe@example.com", "JD"},
		{"", "j.doe-smith+photos@example.com", "JP"},
		{"Dr.", "e12345@example.com", "E"},
		{"4711", "0815@example.com", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		if got := string(initials(tt.name, tt.email)); got != tt.want {
			t.Errorf("initials of %q, %q: %q, want %q", tt.name, tt.email, got, tt.want)
		}
	}
}

// White on every ground is readable for people who see little contrast.
func TestContrast(t *testing.T) {
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	for _, n := range grounds {
		c := rgb(n)
		luminance := 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
		if contrast := 1.05 / (luminance + 0.05); contrast < 4.5 {
			t.Errorf("white on %v has a contrast of %.2f", c, contrast)
		}
	}
}

// drawn returns how many pixels are inked, and whether any touches a side or
// the top.
func drawn(t *testing.T, p Picture) (ink int, touches bool) {
	t.Helper()
	m := pixelsOf(t, p)
	for y := range p.Height {
		for x := range p.Width {
			if isNear(m.At(x, y), color.White, 60) {
				ink++
				touches = touches || x == 0 || x == p.Width-1 || y == 0
			}
		}
	}
	return ink, touches
}

func TestInitialsDrawn(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"Łukasz Żak", "李小龙", "Đặng Thị Hà", "Ế", "Wendy Mills", "Жанна Щукина", "Madonna", "김민준", "ქეთევან", "محمد", "🎉"} {
		for _, edge := range []int{16, 96, 200} {
			p, err := Initials(name, "42@example.com", edge)
			if err != nil {
				t.Fatal(err)
			}
			ink, touches := drawn(t, p)
			if all := edge * edge; edge > 16 && ink < all/25 || touches {
				t.Errorf("%s at %d: %d of %d pixels inked, touching the border: %t", name, edge, ink, all, touches)
			}
			if q, err := Prepare(t.Context(), p.Data, Options{MaxEdge: 1050, MaxBytes: 1 << 20, StripMetadata: true}); err != nil || len(q.Changes) > 0 {
				t.Errorf("%s: not ready for upload: %q, %v", name, q.Changes, err)
			}
			if edge == 96 {
				seen[string(p.Data)] += name
			}
		}
	}
	// The last three have no letters that the fonts know, and look the same.
	if len(seen) != 9 {
		t.Errorf("11 names give %d pictures", len(seen))
	}
}

func TestInitialsColour(t *testing.T) {
	a, err := Initials("Jane Doe", "jane.doe@example.com", 96)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Initials("Jane Doe", "Jane.Doe@Example.com", 96)
	if err != nil || !bytes.Equal(a.Data, b.Data) {
		t.Errorf("one person, two pictures: %v", err)
	}
	colors := map[color.Color]bool{}
	for _, local := range "abcdefghijklmnopqrstuvwxyz" {
		colors[colorFor(string(local)+"@example.com")] = true
	}
	if len(colors) < len(grounds)/2 {
		t.Errorf("26 people have %d colours", len(colors))
	}
}

func TestInitialsEdge(t *testing.T) {
	for _, edge := range []int{-1, 0, 15, 4097} {
		if _, err := Initials("A B", "a@b.c", edge); err == nil {
			t.Errorf("edge %d passes", edge)
		}
	}
}

func FuzzInitials(f *testing.F) {
	f.Add("Müller, Dr. Jürgen (External)", "j@example.com")
	f.Add("((((", "李小龙")
	f.Add("\u0307", "a@b")
	f.Fuzz(func(t *testing.T, name, email string) {
		if in := initials(name, email); len(in) > 2 || !utf8.ValidString(string(in)) {
			t.Fatalf("%q", in)
		}
		if _, err := Initials(name, email, 16); err != nil {
			t.Fatal(err)
		}
	})
}
