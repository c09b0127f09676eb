package config

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the configuration reference anew")

const referenceFile = "../../../docs/reference/configuration.md"

// The reference in docs is what the program says about itself.
func TestReference(t *testing.T) {
	if *update {
		if err := os.WriteFile(referenceFile, Reference(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(referenceFile); err != nil || !bytes.Equal(b, Reference()) {
		t.Errorf("%s is not up to date: go test ./cmd/internal/config -run TestReference -update (%v)", referenceFile, err)
	}
}
