// Package contract compares what photosync says to Smartsheet, and what the simulator
// answers, with openapi.yaml; and lets the official JavaScript SDK talk to the simulator.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

func init() {
	for _, t := range []string{"image/jpeg", "image/png", "image/gif"} {
		openapi3filter.RegisterBodyDecoder(t, openapi3filter.FileBodyDecoder)
	}
}

// checker is a proxy that compares requests and answers with openapi.yaml.
type checker struct {
	URL    string
	t      *testing.T
	router routers.Router
	proxy  *httputil.ReverseProxy

	mu    sync.Mutex
	calls map[string]int // operationId of those that went through
	heads map[string]int // headers of ours that were seen
}

// check starts a checker before the simulator at base.
func check(t *testing.T, base string) *checker {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, calls: map[string]int{}, heads: map[string]int{}}
	if c.router, err = gorillamux.NewRouter(doc); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	to.Path = ""
	c.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	c.URL = srv.URL + "/2.0"
	return c
}

func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The check asks for the time: it sends no token, and is no operation of the API.
	if r.Method == http.MethodHead && r.URL.Path == "/2.0" && r.Header.Get("Authorization") == "" {
		c.proxy.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	in, id, err := c.request(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.proxy.ServeHTTP(answer, r)
	if in != nil {
		err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: answer.Code, Header: answer.Header(), Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		})
		if err != nil {
			c.t.Errorf("the simulator's answer to %s %s: %v", r.Method, r.URL, err)
		}
	}
	c.mu.Lock()
	c.calls[id]++
	for _, h := range []string{"Assume-User", "Smartsheet-Integration-Source"} {
		if r.Header.Get(h) != "" {
			c.heads[h]++
		}
	}
	c.mu.Unlock()
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the client may be gone
}

// request compares a request with the document, which has to name every parameter.
func (c *checker) request(r *http.Request) (in *openapi3filter.RequestValidationInput, id string, err error) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return nil, "", err
	}
	var names []string
	for _, p := range route.Operation.Parameters {
		names = append(names, p.Value.In+" "+p.Value.Name)
	}
	for q := range r.URL.Query() {
		if !slices.Contains(names, "query "+q) {
			err = errors.Join(err, fmt.Errorf("the document has no parameter %q", q))
		}
	}
	for _, h := range []string{"Assume-User", "smartsheet-integration-source"} {
		if r.Header.Get(h) != "" && !slices.Contains(names, "header "+h) {
			err = errors.Join(err, fmt.Errorf("the document has no header %q here", h))
		}
	}
	in = &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: func(_ context.Context, a *openapi3filter.AuthenticationInput) error {
			if !strings.HasPrefix(a.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ") {
				return errors.New("no token")
			}
			return nil
		},
	}}
	return in, route.Operation.OperationID, errors.Join(err, openapi3filter.ValidateRequest(r.Context(), in))
}

// The document refuses what Smartsheet would: else it proves nothing.
func TestDocument(t *testing.T) {
	const source = "smartsheet-integration-source"
	c := check(t, "http://127.0.0.1:1/2.0")
	for name, x := range map[string]struct {
		method, path, contentType string
		header                    []string
		ok                        bool
	}{
		"list":                 {"GET", "/users?page=2&pageSize=1000", "", nil, true},
		"filter":               {"GET", "/users?page=1&email=a%40b.c%2Cd%2Be%40b.c", "", nil, true},
		"filter of no address": {"GET", "/users?page=1&email=ann", "", nil, false},
		"page 0":               {"GET", "/users?page=0", "", nil, false},
		"unknown parameter":    {"GET", "/users?limit=5", "", nil, false},
		"unknown path":         {"GET", "/sheets", "", nil, false},
		"unknown method":       {"DELETE", "/users/7/profileimage", "", nil, false},
		"no number":            {"GET", "/users/ann", "", nil, false},
		"beyond a float":       {"GET", "/users/48569348493401200", "", nil, true},
		"upload":               {"POST", "/users/7/profileimage", "image/png", []string{"Content-Disposition", `attachment; filename="a%20b.png"`}, true},
		"upload without name":  {"POST", "/users/7/profileimage", "image/png", nil, false},
		"name not encoded":     {"POST", "/users/7/profileimage", "image/png", []string{"Content-Disposition", `attachment; filename="a b.png"`}, false},
		"upload of a text":     {"POST", "/users/7/profileimage", "text/plain", []string{"Content-Disposition", `attachment; filename="a.png"`}, false},
		"source":               {"GET", "/users/me", "", []string{source, "SCRIPT,Example Corp,photosync"}, true},
		"source of two parts":  {"GET", "/users/me", "", []string{source, "SCRIPT,photosync"}, false},
		"assumed, not encoded": {"GET", "/users/me", "", []string{"Assume-User", "a@b.c"}, false},
		"assumed":              {"GET", "/users/me", "", []string{"Assume-User", "a%40b.c"}, true},
		"no token":             {"GET", "/users/me", "", []string{"Authorization", ""}, false},
	} {
		body := ""
		if x.contentType != "" {
			body = "picture"
		}
		r := httptest.NewRequestWithContext(t.Context(), x.method, c.URL+x.path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer t")
		r.Header.Set("Content-Type", x.contentType)
		for i := 0; i < len(x.header); i += 2 {
			r.Header.Set(x.header[i], x.header[i+1])
		}
		if _, _, err := c.request(r); (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
