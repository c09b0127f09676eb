package smartsheet

// User is a Smartsheet user as GET /users and POST /users/{id}/profileimage
// describe one. Unknown fields are ignored.
type User struct {
	ID              int64 // 64-bit: beyond what a float holds exactly
	Email           string
	Name            string
	FirstName       string
	LastName        string
	Status          string           // ACTIVE, PENDING, DECLINED, DEACTIVATED; empty when the token may not see it
	ImageID         string           // profileImage.imageId; empty: no picture
	AlternateEmails []AlternateEmail // filled in by Client.User only
}

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
	AccountID   int64
	AccountName string
}

// Image is a picture ready for upload.
type Image struct {
	Data        []byte
	ContentType string // image/jpeg, image/png or image/gif
	FileName    string // sent URL-encoded in Content-Disposition
}

// Upload is what became of one SetProfileImage call. Attempts, Earlier and
// HTTPStatus are filled in for failed calls too.
type Upload struct {
	HTTPStatus  int
	Message     string // SUCCESS or PARTIAL_SUCCESS
	ResultCode  int    // 0 or 3
	User        User   // as the answer shows it, from "data" or "result"
	FailedItems []FailedItem
	Attempts    int
	Earlier     []*Error // the attempts that failed before the last one
}

// Partial reports whether the server said that not everything went well.
func (u Upload) Partial() bool {
	return u.Message == "PARTIAL_SUCCESS" || u.ResultCode == 3 || len(u.FailedItems) > 0
}

// FailedItem is an entry of failedItems in a PARTIAL_SUCCESS answer.
type FailedItem struct {
	Index     int
	ErrorCode int
	RefID     string
	Message   string
}
