package outcome

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// Every Reason of the package has a title and a rule, so that no explanation ends in
// an empty "because".
func TestEveryReasonHasWords(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Type == nil {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if w, ok := words[Reason(text)]; !ok || w.Title == "" || w.Rule == "" {
			t.Errorf("reason %q has no words", text)
		}
		return true
	})
	if seen == 0 || seen != len(words) {
		t.Errorf("%d reasons are typed, %d have words", seen, len(words))
	}
}
