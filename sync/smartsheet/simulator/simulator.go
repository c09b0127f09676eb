// Package simulator is a stand-in for the Smartsheet API, faithful enough for rehearsals and tests: the calls
// for users and profile images, quota, tokens that rotate, refIds and errors in the API's words, and faults on
// demand. It keeps the pictures that it gets in memory, so that they can be compared, and writes no file.
package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"photosync/sync/smartsheet"
)

// FirstUserID is the default id of the first user: the example in the API reference, too large
// for a float to hold exactly.
const FirstUserID = 48569348493401200

// maxImageBytes is the limit of a general upload (API reference). The documentation of an
// SDK states 1 MB for profile images; what the service refuses is not documented.
const maxImageBytes = 30 << 20

// Options describe a Server.
type Options struct {
	Token       string            // the accepted token; empty, without OAuth: any
	OAuth       *OAuth            // tokens from POST /token are accepted too
	Users       []smartsheet.User // ID 0: numbered; Status "": ACTIVE
	FirstUserID int64             // 0: FirstUserID
	AccountID   int64
	AccountName string

	RequestsPerMinute int    // quota of each token; 0: none
	UploadWeight      int    // quota units that an upload takes; 0: 1
	Others            int    // requests a minute of this quota that other clients use
	RetryAfter        string // sent with 429: "" nothing, "seconds" or "date"
}

// Image is the newest picture of a user.
type Image struct {
	ID          string
	Data        []byte
	ContentType string
	FileName    string
	Uploads     int // accepted, since the server began
}

// Counts says what a Server did.
type Counts struct {
	Requests    int            // all of them
	ByOp        map[string]int // "me", "users", "user", "upload", "imageurls", "token", "other"
	Accepted    int            // uploads
	RateLimited int
	RefIDs      int // given out: sim000001 and so on
	MaxPerUser  int // the most uploads for one user at the same time
}

// Server answers like the Smartsheet API. It is an http.Handler and safe for concurrent use.
type Server struct {
	o     Options
	mux   *http.ServeMux
	start time.Time

	mu      sync.Mutex
	users   []*user // in the order they were added
	byID    map[int64]*user
	faults  []*Fault
	quirks  map[string]bool   // of the list of users: see AddQuirk
	pageCap int               // most users on a page
	quotas  map[string]*quota // by token
	oauth   tokens
	counts  Counts
	nextID  int64 // for a user without one
	images  int   // so far
	script  []*step
	sending map[string]int // uploads under way, by path
}

type user struct {
	smartsheet.User
	image Image
}

// New returns a Server, which does not listen yet.
func New(o Options) *Server {
	o.FirstUserID = cmp.Or(o.FirstUserID, FirstUserID)
	o.AccountID, o.AccountName = cmp.Or(o.AccountID, 7031425868359556), cmp.Or(o.AccountName, "Example Corp")
	o.UploadWeight = max(o.UploadWeight, 1)
	s := &Server{
		o: o, mux: http.NewServeMux(), start: time.Now(), byID: map[int64]*user{},
		quotas: map[string]*quota{}, sending: map[string]int{}, counts: Counts{ByOp: map[string]int{}}, nextID: o.FirstUserID,
		quirks: map[string]bool{}, pageCap: 1000,
	}
	if o.OAuth != nil {
		s.oauth = tokens{refresh: o.OAuth.RefreshToken, access: map[string]time.Time{}}
	}
	for _, u := range o.Users { // given ids first, so that no numbered user gets one of them
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
	s.locked(func() { s.users = append(s.users, s.join(u)) })
}

// join adds u everywhere but to the list. The lock is held.
func (s *Server) join(u smartsheet.User) *user {
	for u.ID == 0 {
		if _, taken := s.byID[s.nextID]; !taken {
			u.ID = s.nextID
		}
		s.nextID++
	}
	u.Status = cmp.Or(u.Status, "ACTIVE")
	s.byID[u.ID] = &user{User: u}
	return s.byID[u.ID]
}

// leave removes u. The lock is held.
func (s *Server) leave(u *user) {
	delete(s.byID, u.ID)
	s.users = slices.DeleteFunc(s.users, func(x *user) bool { return x == u })
}

// change lets do change the user with this email, and reports whether there is one.
func (s *Server) change(email string, do func(*user)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u != nil {
		do(u)
	}
	return u != nil
}

// Rename gives the user with this email another email. Like the methods below, it reports
// whether there was such a user.
func (s *Server) Rename(email, to string) bool {
	return s.change(email, func(u *user) { u.Email = to })
}

func (s *Server) SetStatus(email, status string) bool {
	return s.change(email, func(u *user) { u.Status = status })
}

// RemoveUser removes a user. Its id is unknown from then on.
func (s *Server) RemoveUser(email string) bool { return s.change(email, s.leave) }

// SetImage replaces a user's picture as the user would by hand: with a new image id, and
// without counting an upload.
func (s *Server) SetImage(email string, data []byte) bool {
	return s.change(email, func(u *user) {
		s.put(u, Image{Data: data, ContentType: http.DetectContentType(data), Uploads: u.image.Uploads})
	})
}

// put gives u a picture with a new id. The lock is held.
func (s *Server) put(u *user, img Image) {
	s.images++
	img.ID = fmt.Sprintf("I!1!%08x", s.images)
	u.image = img
}

// Image returns the newest picture of the user with this email.
func (s *Server) Image(email string) (img Image, ok bool) {
	s.change(email, func(u *user) { img = u.image })
	return img, img.ID != ""
}

// Counts returns a copy of what was counted so far.
func (s *Server) Counts() (c Counts) {
	s.locked(func() {
		c = s.counts
		c.ByOp = maps.Clone(c.ByOp)
	})
	return c
}

// find returns the first user with this email, or nil. The lock is held.
func (s *Server) find(email string) *user {
	for _, u := range s.users {
		if strings.EqualFold(u.Email, email) {
			return u
		}
	}
	return nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a request under the lock.
type handler func(r *http.Request) reply

// serve is a handler for requests of an op: it counts them, checks token and quota, and applies faults.
func (s *Server) serve(op string, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.begin(op, r)()
		// If the server answered and closed while the client still sends, the client would see
		// a reset instead of the answer.
		data, _ := io.ReadAll(io.LimitReader(r.Body, maxImageBytes+1))
		io.Copy(io.Discard, io.LimitReader(r.Body, maxImageBytes))
		r.Body = io.NopCloser(bytes.NewReader(data))
		s.play()
		h, f, edits, delay := s.decide(op, h, r)
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			}
		}
		if f.Kind == "hang" {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		var answer reply
		s.locked(func() { answer = h(r) })
		for _, f := range edits {
			if a, ok := answer.body.(object); ok && answer.status == http.StatusOK {
				kinds[f.Kind].edit(a, f)
			}
		}
		write(w, answer, kinds[f.Kind].after)
	}
}

// write sends an answer, changed by after if that is set.
func write(w http.ResponseWriter, answer reply, after func(http.ResponseWriter, []byte) []byte) {
	h := w.Header()
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if answer.retryAfter != "" {
		h.Set("Retry-After", answer.retryAfter)
	}
	var body []byte
	switch b := answer.body.(type) {
	case nil:
	case string:
		h.Set("Content-Type", "text/html")
		body = []byte(b)
	default:
		h.Set("Content-Type", "application/json;charset=UTF-8")
		body, _ = json.Marshal(b) // cannot fail: b has only JSON's types
	}
	if after != nil {
		body = after(w, body)
	}
	w.WriteHeader(answer.status)
	w.Write(body)
}

func (s *Server) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// begin counts a request. It returns a function to call at the end of the request.
func (s *Server) begin(op string, r *http.Request) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	s.counts.ByOp[op]++
	if op != "upload" {
		return func() {}
	}
	s.sending[r.URL.Path]++
	s.counts.MaxPerUser = max(s.counts.MaxPerUser, s.sending[r.URL.Path])
	return func() { s.locked(func() { s.sending[r.URL.Path]-- }) }
}

// decide returns what answers a request, the fault that it runs into (of no kind: none), the changes
// of its answer, and the time that passes first.
func (s *Server) decide(op string, h handler, r *http.Request) (_ handler, hit *Fault, edits []*Fault, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit = &Fault{}
	if op != "token" { // this call needs no token, and does not count
		if code := s.unauthorized(r); code != 0 {
			return func(*http.Request) reply { return s.refuse(http.StatusUnauthorized, code) }, hit, nil, 0
		}
		if wait := s.spend(r, op); wait > 0 {
			return func(*http.Request) reply { return s.outOfQuota(wait) }, hit, nil, 0
		}
	}
	for _, f := range s.faults {
		edit := kinds[f.Kind].edit != nil
		about := (f.Op == "any" || f.Op == op) && s.concerns(f, op, r)
		if !about || hit.Kind != "" && !edit || !f.due() {
			continue
		}
		switch {
		case edit:
			edits = append(edits, f)
		case f.Kind == "slow":
			delay += f.Delay
		default:
			hit = f
		}
	}
	if instead := kinds[hit.Kind].instead; instead != nil {
		h = func(*http.Request) reply { return instead(s, hit) }
	}
	return h, hit, edits, delay
}
