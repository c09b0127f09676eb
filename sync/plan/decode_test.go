package plan

import (
	"strings"
	"testing"
)

// What is JSON but no plan is named in plain words, without the names of Go types.
func TestDecodeOtherJSON(t *testing.T) {
	for _, text := range []string{`[]`, `"x"`, `7`, `{"steps":3}`, `{"schema_version":"x"}`, `{"schema_version":1,"plan_id":"a","steps":[7]}`} {
		_, err := Decode([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "it is not a plan") {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, word := range []string{"Go ", "struct", "plan."} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}
