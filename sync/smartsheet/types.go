package smartsheet

import "strings"

// User is a Smartsheet user, as far as photosync needs one. It comes from GET /users,
// GET /users/{id} and the answer to an upload.
type User struct {
	ID              int64 // 64-bit: beyond what a float holds exactly
	Email           string
	Name            string
	Status          string           // ACTIVE, PENDING, DECLINED, DEACTIVATED, in any case; empty: not shown, as to a token without admin rights
	ImageID         string           // profileImage.imageId; empty: no picture
	IsInternal      *bool            // of the token's own organisation; nil: not shown
	AlternateEmails []AlternateEmail // only from Client.User and Client.Me

	// Unusable says why this entry of a list cannot be used, such as `user id "x7" is no
	// number`; empty: it can. Whatever else could be read is filled in. Who is looked
	// for may be behind such an entry: they are not to be called "not in Smartsheet".
	Unusable string
}

// Active reports whether the account is in use. Who has no status counts as active.
func (u User) Active() bool { return u.Status == "" || strings.EqualFold(u.Status, "ACTIVE") }

// AlternateEmail is a further address of a user, from GET /users/{id}. One that is
// not confirmed is what somebody typed: it may belong to anybody.
type AlternateEmail struct {
	Email     string
	Confirmed bool
}

// Me is the token's own user, from GET /users/me.
type Me struct {
	User
	Admin       bool
	HasAccount  bool // false: the answer names no account, and the next two are zero
	AccountID   int64
	AccountName string
}

// Image is a picture ready for upload.
type Image struct {
	Data        []byte
	ContentType string // image/jpeg, image/png or image/gif
	FileName    string // sent URL-encoded in Content-Disposition
}

// UploadResult is what became of one Client.Upload. All that could be read of the
// answer is there, also when the call failed.
type UploadResult struct {
	Attempts   int
	Earlier    []*Error // the attempts that failed before the last one
	HTTPStatus int      // of the last attempt; 0: no answer

	// Unknown: some attempt may have put the picture there although no answer says so.
	// It was on the wire and its answer was lost, unreadable, contradictory or a 5xx.
	// Without a success after it, only a look at the user shows what is there.
	Unknown bool

	Message     string // SUCCESS, PARTIAL_SUCCESS, or whatever came
	ResultCode  *int   // nil: none came
	RefID       string
	Users       []User // that the answer shows, from "data" and from "result"; none: it names nobody
	FailedItems []FailedItem
}

// Success reports whether the answer says that all went well: SUCCESS and 0.
func (r *UploadResult) Success() bool {
	return r.says("SUCCESS", 0) && len(r.FailedItems) == 0
}

// Partial reports whether the answer says that not all went well: PARTIAL_SUCCESS and 3.
func (r *UploadResult) Partial() bool { return r.says("PARTIAL_SUCCESS", 3) }

func (r *UploadResult) says(message string, code int) bool {
	return r.Message == message && r.ResultCode != nil && *r.ResultCode == code
}

// User returns the user with this id, if the answer shows them.
func (r *UploadResult) User(id int64) (User, bool) {
	for _, u := range r.Users {
		if u.ID == id {
			return u, true
		}
	}
	return User{}, false
}

// FailedItem is an entry of failedItems in a PARTIAL_SUCCESS answer.
type FailedItem struct {
	Index int
	Error *ItemError // nil: the answer says null, or nothing
}

// ItemError is why an item failed.
type ItemError struct {
	Code    int // errorCode; 0: none given
	RefID   string
	Message string
}
