package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// excerpts gives each fault the line it is about. A value that the fault itself
// does not quote shows as "…": it may be a secret that someone wrote there.
func excerpts(data []byte, faults []Fault) {
	lines := map[int][]*token.Token{}
	for _, t := range lexer.Tokenize(string(data)) {
		lines[t.Position.Line] = append(lines[t.Position.Line], t)
	}
	for i := range faults {
		if f := &faults[i]; f.Line > 0 {
			f.Excerpt = excerpt(lines[f.Line], *f)
		}
	}
}

func excerpt(tokens []*token.Token, f Fault) string {
	var line strings.Builder
	column, width, caret := 1, 0, -1 // column in the file, width of the excerpt
	for _, t := range tokens {
		if t.Type == token.CommentType {
			break
		}
		text := shown(t, f.Message)
		if gap := t.Position.Column - column; gap > 0 {
			line.WriteString(strings.Repeat(" ", gap))
			width += gap
		}
		if t.Position.Column == f.Column {
			caret = width
		}
		line.WriteString(text)
		width += len([]rune(text))
		column = t.Position.Column + len([]rune(strings.TrimSpace(t.Origin)))
	}
	if caret < 0 {
		return ""
	}
	return fmt.Sprintf("%6d | %s\n%6s | %s^\n", f.Line, line.String(), "", strings.Repeat(" ", caret))
}

// shown is a token as an excerpt shows it: keys and punctuation as they are.
func shown(t *token.Token, message string) string {
	isKey := t.Next != nil && t.Next.Type == token.MappingValueType && t.Next.Position.Line == t.Position.Line
	quoted := strings.Contains(message, strconv.Quote(t.Value)) && t.Value != ""
	switch {
	case t.Indicator == token.BlockStructureIndicator, t.Indicator == token.FlowCollectionIndicator, isKey && printable(t.Value), quoted:
		return t.Value
	}
	return "…"
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}
