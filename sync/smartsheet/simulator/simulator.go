// Package simulator is a stand-in for the Smartsheet API, faithful enough for
// rehearsals and tests: the calls around users and profile images, quota,
// refIds and errors as the API words them, and faults on demand. It keeps the
// pictures it is given, so that they can be compared.
package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"photosync/sync/smartsheet"
)

// FirstUserID is the id of the first user where nothing else is asked for: the
// example of the API reference, beyond what a float holds exactly.
const FirstUserID = 48569348493401200

// maxImageBytes is the limit of a general upload (API reference).
const maxImageBytes = 30 << 20

// Options describe a Server.
type Options struct {
	Token             string            // the accepted token; empty: any
	Users             []smartsheet.User // ID 0: numbered; Status "": ACTIVE
	FirstUserID       int64             // 0: FirstUserID
	RequestsPerMinute int               // quota of each token; 0: none
	UploadWeight      int               // quota units that an upload takes; 0: 1
	AccountID         int64
	AccountName       string

	PageSizeCap    int    // most users on a page; 0: 1000
	TotalsUnknown  bool   // totalPages and totalCount are -1
	RepeatLastPage bool   // a page beyond the last repeats it
	AnswerShape    string // of an upload: "data" (default) or "result"
	RetryAfter     string // sent with 429: "" nothing, "seconds" or "date"
}

// Image is the newest picture of a user.
type Image struct {
	ID          string
	Data        []byte
	ContentType string
	FileName    string
	Uploads     int // accepted, since the server began
}

// Counts says what a Server has seen.
type Counts struct {
	Requests    int            // all of them
	ByOp        map[string]int // "me", "users", "user", "upload", "imageurls", "other"
	Accepted    int            // uploads
	RateLimited int
	MaxPerUser  int // most uploads for one user at the same moment
}

// Server answers like the Smartsheet API. It is an http.Handler and safe for
// concurrent use.
type Server struct {
	o   Options
	mux *http.ServeMux

	mu       sync.Mutex
	users    []*user // in the order they were added
	byID     map[int64]*user
	faults   []*fault
	windows  map[string]*window // by token
	counts   Counts
	nextID   int64 // for a user without one
	refs     int
	imageSeq int
}

type user struct {
	smartsheet.User
	image  Image
	active int // uploads being answered
}

// window is the fixed window of a minute in which a token's requests count.
type window struct {
	start time.Time
	used  int
}

// New returns a Server; it listens nowhere yet.
func New(o Options) *Server {
	if o.FirstUserID == 0 {
		o.FirstUserID = FirstUserID
	}
	if o.AccountID == 0 {
		o.AccountID, o.AccountName = 7031425868359556, "Example Corp"
	}
	if o.PageSizeCap <= 0 {
		o.PageSizeCap = 1000
	}
	o.UploadWeight = max(o.UploadWeight, 1)
	s := &Server{o: o, byID: map[int64]*user{}, windows: map[string]*window{}, counts: Counts{ByOp: map[string]int{}}}
	s.nextID = o.FirstUserID
	for _, u := range o.Users { // given ids first: a numbered user never takes one of them
		if u.ID != 0 {
			s.byID[u.ID] = nil
		}
	}
	for _, u := range o.Users {
		s.AddUser(u)
	}
	s.routes()
	return s
}

// AddUser adds a user; ID 0 is numbered, Status "" is ACTIVE.
func (s *Server) AddUser(u smartsheet.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for u.ID == 0 {
		if _, taken := s.byID[s.nextID]; !taken {
			u.ID = s.nextID
		}
		s.nextID++
	}
	if u.Status == "" {
		u.Status = "ACTIVE"
	}
	x := &user{User: u}
	s.users = append(s.users, x)
	s.byID[u.ID] = x
}

// Image returns the newest picture of the user with this email.
func (s *Server) Image(email string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u == nil || u.image.ID == "" {
		return Image{}, false
	}
	return u.image, true
}

// SetImage replaces a user's picture as the user would by hand: with a new image
// id and without counting an upload. It reports whether there is such a user.
func (s *Server) SetImage(email string, data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u == nil {
		return false
	}
	u.image = Image{ID: s.imageID(), Data: data, ContentType: imageType(data), Uploads: u.image.Uploads}
	return true
}

// imageID makes up the next image id. The lock is held.
func (s *Server) imageID() string {
	s.imageSeq++
	return fmt.Sprintf("I!1!%08x", s.imageSeq)
}

// RemoveUser removes the user with this email, so that the id is unknown from
// then on. It reports whether there was one.
func (s *Server) RemoveUser(email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u == nil {
		return false
	}
	delete(s.byID, u.ID)
	s.users = slices.DeleteFunc(s.users, func(x *user) bool { return x == u })
	return true
}

// Counts returns a copy of what was counted so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.ByOp = map[string]int{}
	for k, v := range s.counts.ByOp {
		c.ByOp[k] = v
	}
	return c
}

// find returns the user with this email, or nil. The lock is held.
func (s *Server) find(email string) *user {
	for _, u := range s.users {
		if strings.EqualFold(u.Email, email) {
			return u
		}
	}
	return nil
}

// ServeHTTP counts, checks token and quota, applies faults, and answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := opOf(r)
	s.mu.Lock()
	s.counts.Requests++
	s.counts.ByOp[op]++
	s.mu.Unlock()
	if code, ok := s.authorized(r); !ok {
		drain(r)
		s.refuse(w, http.StatusUnauthorized, code, "")
		return
	}
	if wait, ok := s.spend(r, op); !ok {
		drain(r)
		s.rateLimited(w, wait)
		return
	}
	if f := s.takeFault(op, r); f != nil && f.before(s, w, r) {
		return
	} else if f != nil {
		w = f.wrap(w)
	}
	s.mux.ServeHTTP(w, r)
}

// drain reads the rest of the request: a server that answers and closes while
// the client still sends makes it see a reset instead of the answer.
func drain(r *http.Request) {
	io.Copy(io.Discard, io.LimitReader(r.Body, 2*maxImageBytes)) // the client may be gone
}

func opOf(r *http.Request) string {
	switch p := strings.TrimPrefix(r.URL.Path, "/2.0"); {
	case p == "/users/me":
		return "me"
	case p == "/users":
		return "users"
	case strings.HasSuffix(p, "/profileimage"):
		return "upload"
	case strings.HasPrefix(p, "/users/"):
		return "user"
	case p == "/imageurls":
		return "imageurls"
	}
	return "other"
}

func (s *Server) authorized(r *http.Request) (code int, ok bool) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !found || token == "":
		return 1001, false
	case s.o.Token != "" && token != s.o.Token:
		return 1002, false
	}
	return 0, true
}

// spend takes the request's quota units from the window of its token.
func (s *Server) spend(r *http.Request, op string) (wait time.Duration, ok bool) {
	if s.o.RequestsPerMinute <= 0 {
		return 0, true
	}
	units := 1
	if op == "upload" {
		units = s.o.UploadWeight
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token, now := r.Header.Get("Authorization"), time.Now()
	win := s.windows[token]
	if win == nil || now.Sub(win.start) >= time.Minute {
		win = &window{start: now}
		s.windows[token] = win
	}
	if win.used+units > s.o.RequestsPerMinute {
		s.counts.RateLimited++
		return time.Minute - now.Sub(win.start), false
	}
	win.used += units
	return 0, true
}

func (s *Server) rateLimited(w http.ResponseWriter, wait time.Duration) {
	switch s.o.RetryAfter {
	case "seconds":
		w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
	case "date":
		w.Header().Set("Retry-After", time.Now().Add(wait+time.Second).UTC().Format(http.TimeFormat))
	}
	s.refuse(w, http.StatusTooManyRequests, 4003, "")
}

// messages are the API's own words for its errorCodes.
var messages = map[int]string{
	1001: "An Access Token is required.",
	1002: "Your Access Token is invalid.",
	1003: "Your Access Token has expired.",
	1004: "You are not authorized to perform this action.",
	1005: "Single Sign-On is required for this account.",
	1006: "Not Found",
	1013: "The operation you are attempting to perform is not supported by your plan.",
	1020: "User not found.",
	1030: "You cannot assume this user.",
	1074: "Unsupported file type.",
	1075: "The size of the upload does not match Content-Length.",
	1091: "The value of the Content-Type header is invalid.",
	1124: "Invalid Content-Type header. Media type not supported.",
	1128: "The file is too large.",
	1188: "The user's account is not active.",
	4000: "An unexpected error has occurred. Please retry your request. If you encounter this error repeatedly, please contact api@smartsheet.com for assistance and reference this refId.",
	4001: "Smartsheet.com is currently offline for system maintenance. Please check back again shortly.",
	4002: "Server timeout exceeded. Request has failed.",
	4003: "Rate limit exceeded.",
	4004: "An unexpected error has occurred. Please retry your request.",
	4005: "This version of the API is no longer supported.",
}

// refuse answers with an error as the API writes one.
func (s *Server) refuse(w http.ResponseWriter, status, code int, message string) {
	if message == "" {
		message = messages[code]
	}
	body := map[string]any{"refId": s.refID(), "message": message}
	if code != 0 {
		body["errorCode"] = code
	}
	answer(w, status, body)
}

// refID makes up the next reference id.
func (s *Server) refID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
	return fmt.Sprintf("sim%06d", s.refs)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client may be gone: its problem
}

// Listener is a Server that listens on an address.
type Listener struct {
	l    net.Listener
	http *http.Server
	done chan struct{}
}

// Listen starts the server on addr ("127.0.0.1:0": any free port).
func (s *Server) Listen(addr string) (*Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	x := &Listener{l: l, http: &http.Server{Handler: s.Page(), ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.http.Serve(l) // ends with Close
	}()
	return x, nil
}

// URL is the base address for the client.
func (x *Listener) URL() string { return "http://" + x.l.Addr().String() + "/2.0" }

// Close stops listening and cuts the connections there are.
func (x *Listener) Close() error {
	err := x.http.Close()
	<-x.done
	return err
}
