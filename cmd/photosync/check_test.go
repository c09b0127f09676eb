package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"photosync/cmd/internal/checkup"
	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources/ldap/slapdtest"
	"photosync/sync/smartsheet"
)

// A directory of which one server is down: a run would go on with the other, and the
// checkup says so.
func TestCheckServers(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: slapdtest.Entry("p00001", email(1), picture(1))})
	s := config.Source{
		Name: "ad", Type: "ldap", URLs: []string{"ldap://127.0.0.1:1", srv.URL}, BindDN: slapdtest.BindDN, BindPassword: slapdtest.Password,
		BaseDN: slapdtest.BaseDN, Filter: "(objectClass=inetOrgPerson)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"}, PageSize: 10,
		ChangeDetection: "auto",
	}
	c := &config.Config{Sources: []config.Source{s}, Image: config.Image{MaxEdge: 1050, MaxBytes: 1e6, MaxPixels: 5e7, Crop: "none"}}
	c.State.Path, c.Report.Dir = filepath.Join(t.TempDir(), "state.db"), t.TempDir()
	checks := checkup.Run(t.Context(), checkup.Options{Config: c, Sources: openSources, Photos: photoOptions(c.Image), Client: func(config.Smartsheet) (*smartsheet.Client, error) {
		return nil, errors.New("not wanted here")
	}})
	if len(checks) < 3 || checks[1].Status != console.Warning || !strings.HasPrefix(checks[1].Detail, "connect ldap://127.0.0.1:1: ") ||
		checks[2].Status != console.OK || !strings.Contains(checks[2].Detail, "1 person in 1 page") {
		t.Errorf("checks %q", checks)
	}
}
