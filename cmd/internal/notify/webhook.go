package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"photosync/sync/report"
)

const (
	// maxBody is how large a message may be before its items are cut down.
	maxBody = 1 << 20
	// maxItems is how many people stay in it then.
	maxItems = 100
)

// message is what the webhook gets: "text", which Slack and its kind show, and the
// whole report for programs.
type message struct {
	Text        string `json:"text"`
	MessageType string `json:"message_type"` // "summary"
	*report.Report
	ItemsOmitted int `json:"items_omitted,omitempty"`
}

// slackEscapes are the characters that have a meaning in Slack's texts
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (n *Notifier) webhook(ctx context.Context, r *report.Report, text string) error {
	body, err := encode(r, text)
	if err == nil {
		err = n.post(ctx, n.o.Webhook, "application/json", body)
	}
	return told("tell the webhook at", n.o.Webhook, err)
}

// encode is the message about r. Pictures of people are not sent; where the report
// is very long, neither are people beyond the first who need attention.
func encode(r *report.Report, text string) ([]byte, error) {
	short := *r
	short.Items = slices.Clone(r.Items)
	for i := range short.Items {
		it := &short.Items[i]
		if it.Image != nil {
			image := *it.Image
			image.Thumbnail = ""
			it.Image = &image
		}
	}
	m := message{Text: slackEscapes.Replace(text), MessageType: "summary", Report: &short}
	body, err := json.Marshal(m)
	if err != nil || len(body) <= maxBody {
		return body, err
	}
	short.Items = slices.DeleteFunc(short.Items, func(it report.Item) bool {
		return it.Outcome == "uploaded" || it.Outcome == "skipped" && it.Reason != "ambiguous"
	})
	short.Items = short.Items[:min(len(short.Items), maxItems)]
	m.ItemsOmitted = len(r.Items) - len(short.Items)
	return json.Marshal(m)
}
