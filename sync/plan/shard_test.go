package plan

import (
	"fmt"
	"strings"
	"testing"
)

// Every person is in exactly one shard, always the same one, and shards are equal.
func TestShard(t *testing.T) {
	const people, shards = 4000, 4
	var sizes [shards]int
	for i := range people {
		email, in := fmt.Sprintf("p%05d@example.com", i), 0
		for s := range shards {
			if (Shard{s, shards}).Has(email) {
				sizes[s]++
				in++
			}
		}
		if in != 1 || !(Shard{}).Has(email) || !(Shard{0, 1}).Has(email) {
			t.Fatalf("%s is in %d shards", email, in)
		}
	}
	for s, n := range sizes {
		if n < people/shards*9/10 || n > people/shards*11/10 {
			t.Errorf("shard %d has %d of %d people", s, n, people)
		}
	}
	// Runs of tomorrow, and on other machines, must agree with those of today.
	if !(Shard{1, 4}).Has("ann@example.com") || !(Shard{0, 4}).Has("bob@example.com") {
		t.Error("people moved to other shards")
	}
}

func TestParseShard(t *testing.T) {
	for text, want := range map[string]string{
		"0/1": "", "3/4": "", "0/1000": "",
		"4/4": "count from 0, so the last of 4 is 3/4", "-1/4": "want i/n", "1": "want i/n", "a/4": "want i/n",
		"1/": "want i/n", "0/0": "want i/n", "0/1001": "want i/n", "1/4/4": "want i/n", "": "want i/n",
	} {
		s, err := ParseShard(text)
		switch {
		case want == "" && (err != nil || s.String() != text):
			t.Errorf("%q: %v, %v", text, s, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if s := (Shard{}).String(); s != "" {
		t.Errorf("everyone is %q", s)
	}
}
