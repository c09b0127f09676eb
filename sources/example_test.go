package sources_test

import (
	"context"
	"fmt"

	"photosync/sources"
)

// badges is a whole source: photos in memory by address. A new adapter is a folder
// beside ldap and folder, a test that calls sourcetest.Run, and one case where cmd
// opens sources.
type badges map[string]string

func (b badges) List(_ context.Context, each func(sources.Person) error) (sources.Listing, error) {
	l := sources.Listing{Entries: len(b)}
	for address, photo := range b {
		if err := each(sources.Person{
			Own: []string{address}, Ref: sources.Ref{Name: "badge of " + address}, Stamp: fmt.Sprint(len(photo)), HasPhoto: sources.Present,
		}); err != nil {
			return l, err
		}
	}
	l.Complete = true
	return l, nil
}

func (b badges) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	for _, ref := range refs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := each(sources.Photo{Ref: ref, Data: []byte(b[ref.Name[len("badge of "):]])}); err != nil {
			return err
		}
	}
	return nil
}

func ExampleJoin() {
	people, _, err := sources.Join(context.Background(), []sources.Named{
		{Name: "badges", Source: badges{"ann@example.com": "a face", "cy@example.com": "a face"}},
		{Name: "old badges", Source: badges{"ann@example.com": "an old face", "bob@example.com": "a face"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for j := range people.All() {
		fmt.Println(j.Own[0])
		for _, c := range j.Candidates {
			fmt.Println("  source", c.Source, c.Ref.Name)
		}
	}
	// Output:
	// ann@example.com
	//   source 0 badge of ann@example.com
	//   source 1 badge of ann@example.com
	// bob@example.com
	//   source 1 badge of bob@example.com
	// cy@example.com
	//   source 0 badge of cy@example.com
}
