// The tests of the report in a real browser have their own module: the program's
// does not need one.
module photosync/sync/report/browsertest

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.3
	github.com/chromedp/chromedp v0.23.0
)

require github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
