package smartsheet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ImageURLs returns temporary addresses of pictures by image id (POST /imageurls, one
// call). Ids without one are missing. Whoever knows such an address can see the picture.
func (c *Client) ImageURLs(ctx context.Context, ids []string) (map[string]string, error) {
	ask := make([]map[string]string, len(ids))
	for i, id := range ids {
		ask[i] = map[string]string{"imageId": id}
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	q := call{
		op: "ask for addresses of pictures", method: http.MethodPost, path: "/imageurls",
		header: http.Header{"Content-Type": {"application/json"}}, body: body, units: 1,
	}
	urls := make(map[string]string, len(ids))
	_, err = c.do(ctx, q, func(b []byte) error {
		for _, v := range objects(parse(b).Get("imageUrls")) {
			if u := text(v.Get("url")); u != "" {
				urls[label(v.Get("imageId"))] = u
			}
		}
		return nil
	})
	return urls, err
}

// maxPicture bounds the bytes of a picture from Smartsheet.
const maxPicture = 8 << 20

// Picture fetches a picture from an address that ImageURLs gave, without the token and
// with one attempt. Plain http is for a Smartsheet that is itself reached by http.
func (c *Client) Picture(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !strings.HasPrefix(c.o.BaseURL, "http:")) {
		return nil, errors.New("the address of a picture is not https")
	}
	resp, err := c.o.Transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return nil, fmt.Errorf("fetch a picture: %w", transportCause(ctx, err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxPicture+1))
	if err == nil && (resp.StatusCode != http.StatusOK || len(data) > maxPicture) {
		err = fmt.Errorf("fetch a picture: status %d, %d bytes", resp.StatusCode, len(data))
	}
	return data, err
}
