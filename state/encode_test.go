package state

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{64}`), rapid.StringMatching(`base64:.{0,4}`),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		at := time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		return at.In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone")))
	})
}

// every is a generator of rows with anything in any field.
func every[T any]() *rapid.Generator[T] {
	return rapid.MakeCustom[T](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{reflect.TypeFor[time.Time](): anyTime().AsAny()},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{reflect.String: anyText().AsAny()},
	})
}

func anyPerson() *rapid.Generator[Person] {
	return rapid.Map(every[Person](), func(p Person) Person { p.Email += "@b.c"; return p })
}

func anyUser() *rapid.Generator[User] {
	return rapid.Map(every[User](), func(u User) User { u.ID = max(u.ID, 1); return u })
}

func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, u := anyPerson().Draw(t, "person"), anyUser().Draw(t, "user")
		pr, ur := encodePerson(&p), encodeUser(&u)
		if err := pr.verify(); err != nil {
			t.Fatal(err)
		}
		var gotPerson Person
		if err := pr.person(&gotPerson); err != nil || gotPerson != p {
			t.Fatal(err, cmp.Diff(p, gotPerson))
		}
		var gotUser User
		if err := ur.user(&gotUser); err != nil || !cmp.Equal(u, gotUser) {
			t.Fatal(err, cmp.Diff(u, gotUser))
		}
		if (row{pr.key + "x", pr.value}).verify() == nil || (row{userKey(u.ID + 1), ur.value}).verify() == nil {
			t.Fatal("one row passed for another's")
		}
		ur.value[rapid.IntRange(0, len(ur.value)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if ur.verify() == nil {
			t.Fatal("a flipped bit went unnoticed")
		}
	})
}

// A checksum must not hide what the decoder does with fields that lie.
func FuzzDecode(f *testing.F) {
	for i := range 3 {
		p, u := person(i), user(i)
		u.Intent, u.Failure = &Intent{Origin: u.Sent.Origin, At: u.Sent.At}, &Failure{Code: "1001", At: u.Sent.At}
		f.Add(encodePerson(&p).value)
		f.Add(encodeUser(&u).value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) < checksumSize {
			return
		}
		var p, samePerson Person
		if (row{"a@b.c", value}).person(&p) == nil {
			if err := encodePerson(&p).person(&samePerson); err != nil || samePerson != p {
				t.Fatal(p, samePerson, err)
			}
		}
		var u, sameUser User
		if (row{userKey(7), value}).user(&u) == nil {
			if err := encodeUser(&u).user(&sameUser); err != nil || !cmp.Equal(sameUser, u) {
				t.Fatal(u, sameUser, err)
			}
		}
	})
}
