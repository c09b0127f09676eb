// Package simulator is a stand-in for the Smartsheet API, faithful enough for
// rehearsals and tests: the calls around users and profile images, quota, tokens
// that rotate, refIds and errors as the API words them, and faults on demand. It
// keeps the pictures it is given, so that they can be compared.
package simulator

import (
	"fmt"
	"io"
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
	Sliding           bool   // the quota counts any 60 s, not windows of a minute
	UploadWeight      int    // quota units that an upload takes; 0: 1
	Others            int    // requests a minute that other clients make with each token
	RetryAfter        string // sent with 429: "" nothing, "seconds" or "date"

	PageSizeCap    int  // most users on a page; 0: 1000
	RepeatLastPage bool // a page beyond the last repeats it
	DuplicateUsers bool // a page begins with the last user of the page before
	Churn          bool // a guest comes and goes between pages, and moves all others
	NoEmailFilter  bool // the filter of the list is refused

	UnstableImageIDs bool // a picture has another image id each time it is shown
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
	ByOp        map[string]int // "me", "users", "user", "upload", "imageurls", "token", "other"
	Accepted    int            // uploads
	RateLimited int
	Others      int // units that Options.Others got
	RefIDs      int // given out: sim000001 and so on
	MaxPerUser  int // most uploads for one user at the same moment
}

// Server answers like the Smartsheet API. It is an http.Handler and safe for
// concurrent use.
type Server struct {
	o     Options
	mux   *http.ServeMux
	start time.Time

	mu       sync.Mutex
	users    []*user // in the order they were added
	byID     map[int64]*user
	byEmail  map[string][]*user // lower case
	byImage  map[string]*user
	faults   []*fault
	quotas   map[string]*quota // by token
	oauth    tokens
	counts   Counts
	nextID   int64 // for a user without one
	refs     int
	imageSeq int
	views    int // pictures shown
	script   []*step
}

type user struct {
	smartsheet.User
	image  Image
	active int // uploads being answered
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
	s := &Server{
		o: o, start: time.Now(), byID: map[int64]*user{}, byEmail: map[string][]*user{}, byImage: map[string]*user{},
		quotas: map[string]*quota{}, counts: Counts{ByOp: map[string]int{}}, nextID: o.FirstUserID,
	}
	if o.OAuth != nil {
		s.oauth = tokens{refresh: o.OAuth.RefreshToken, access: map[string]time.Time{}}
	}
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
	s.users = append(s.users, s.join(u))
}

// join makes u known, but for the list. The lock is held.
func (s *Server) join(u smartsheet.User) *user {
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
	s.byID[u.ID] = x
	key := strings.ToLower(u.Email)
	s.byEmail[key] = append(s.byEmail[key], x)
	return x
}

// Rename gives the user with this email another one. It reports whether there was one.
func (s *Server) Rename(email, to string) bool {
	return s.change(email, func(u *user) {
		key := strings.ToLower(u.Email)
		s.byEmail[key] = slices.DeleteFunc(s.byEmail[key], func(x *user) bool { return x == u })
		u.Email = to
		s.byEmail[strings.ToLower(to)] = append(s.byEmail[strings.ToLower(to)], u)
	})
}

// SetStatus changes a user's status. It reports whether there is such a user.
func (s *Server) SetStatus(email, status string) bool {
	return s.change(email, func(u *user) { u.Status = status })
}

// SetAlternates replaces a user's alternate addresses. It reports whether there is such
// a user.
func (s *Server) SetAlternates(email string, all ...smartsheet.AlternateEmail) bool {
	return s.change(email, func(u *user) { u.AlternateEmails = all })
}

// Recreate removes a user and adds one with the same email and name, a new id and no
// picture. It reports whether there was one.
func (s *Server) Recreate(email string) bool {
	s.mu.Lock()
	u := s.find(email)
	s.mu.Unlock()
	if u == nil || !s.RemoveUser(email) {
		return false
	}
	s.AddUser(smartsheet.User{Email: u.Email, Name: u.Name})
	return true
}

func (s *Server) change(email string, do func(*user)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u != nil {
		do(u)
	}
	return u != nil
}

// RemoveUser removes the user with this email, so that the id is unknown from
// then on. It reports whether there was one.
func (s *Server) RemoveUser(email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.find(email)
	if u != nil {
		s.leave(u)
	}
	return u != nil
}

// leave forgets u. The lock is held.
func (s *Server) leave(u *user) {
	is := func(x *user) bool { return x == u }
	key := strings.ToLower(u.Email)
	delete(s.byID, u.ID)
	delete(s.byImage, u.image.ID)
	s.byEmail[key] = slices.DeleteFunc(s.byEmail[key], is)
	s.users = slices.DeleteFunc(s.users, is)
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
	s.put(u, Image{Data: data, ContentType: imageType(data), Uploads: u.image.Uploads})
	return true
}

// put gives u a picture with a new id. The lock is held.
func (s *Server) put(u *user, img Image) {
	s.imageSeq++
	img.ID = fmt.Sprintf("I!1!%08x", s.imageSeq)
	delete(s.byImage, u.image.ID)
	u.image = img
	s.byImage[img.ID] = u
}

// Counts returns a copy of what was counted so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.RefIDs = s.refs
	c.ByOp = map[string]int{}
	for k, v := range s.counts.ByOp {
		c.ByOp[k] = v
	}
	return c
}

// find returns the user with this email, or nil. The lock is held.
func (s *Server) find(email string) *user {
	if us := s.byEmail[strings.ToLower(email)]; len(us) > 0 {
		return us[0]
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
	s.play()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if op != "token" { // which is asked for without one, and does not count
		if code := s.unauthorized(r); code != 0 {
			drain(r)
			s.refuse(w, http.StatusUnauthorized, code, "")
			return
		}
		if wait, ok := s.spend(r, op); !ok {
			drain(r)
			s.rateLimited(w, wait)
			return
		}
	}
	delay, f, odd := s.takeFaults(op, r)
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
	}
	for _, o := range odd {
		w = &spoiler{w, o}
	}
	if f != nil {
		if f.before(s, w, r) {
			return
		}
		w = &spoiler{w, f}
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
	case p == "/token", p == "/b/authorize":
		return "token"
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
