package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/notify"
	"photosync/sources"
	"photosync/sources/folder"
	"photosync/sources/ldap"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// setup is a configuration for everybody, or for one shard.
type setup struct {
	*config.Config            // State.Path is that of the shard
	part           plan.Shard // zero: everybody
}

// load finds and reads the configuration; shard is the flag. Its errors are usage errors.
func (a *app) load(name, shard string) (*setup, error) {
	part, err := parseShard(shard, a.env)
	if err != nil {
		return nil, err
	}
	a.same = map[string]string{"config": cmp.Or(name, a.env("PHOTOSYNC_CONFIG")), "shard": part.String()}
	c, err := config.Load(name, a.env, ldapFaults)
	if err != nil {
		return nil, usage(err)
	}
	c.State.Path = shardPath(c.State.Path, part)
	return &setup{c, part}, nil
}

// ldapFaults finds the faults of a source that only sources/ldap knows.
func ldapFaults(s config.Source) (faults []config.Fault) {
	if s.Type == "ldap" {
		_, err := ldap.New(ldapOptions(s))
		found, _ := errors.AsType[ldap.Faults](err)
		for _, f := range found {
			faults = append(faults, config.Fault{Key: f.Key, Message: f.Message, Instead: f.Instead})
		}
	}
	return faults
}

// open makes the job that a configuration describes, without the state. It contacts nobody. All jobs are made here.
func open(s *setup, how job.How, abort <-chan struct{}, log zerolog.Logger) (j job.Job, closeAll func(), err error) {
	c := s.Config
	client, err := newClient(c.Smartsheet, abort, log)
	if err != nil {
		return j, nil, err
	}
	srcs, closeSources, err := openSources(c)
	if err != nil {
		return j, nil, err
	}
	j = job.Job{
		Parts: job.Parts{Sources: srcs, Smartsheet: client, Root: baseURL(c.Smartsheet), Photos: photo.Options{
			MaxEdge: c.Image.MaxEdge, MaxBytes: int64(c.Image.MaxBytes), MaxPixels: int64(c.Image.MaxPixels),
			Crop: c.Image.Crop, StripMetadata: c.Image.StripMetadata, Quality: c.Image.Quality, Background: c.Image.Background,
		}},
		Policy: plan.Policy{
			Existing: plan.Existing(c.Policy.Existing),
			Guards: &plan.Guards{
				MaxReplaced: plan.Limit(c.Guard.MaxReplaced), MaxRemoved: plan.Limit(c.Guard.MaxRemoved), MinListed: plan.Limit(c.Guard.MinListed),
				MinPeople: c.Guard.MinPeople, MaxShared: c.Guard.MaxShared,
			},
			Included: config.Globs(c.Match.Include), Excluded: config.Globs(c.Match.Exclude), Patterns: slices.Concat(c.Match.Include, []string{"-"}, c.Match.Exclude),
			Ignored: c.Match.IgnorePictures, AlternateEmails: c.Match.AlternateEmails, Refresh: time.Duration(c.Match.Refresh),
		},
		Scope: plan.Scope{Shard: s.part},
		How:   how,
	}
	j.How.Version, j.How.Concurrency = build().version, c.Smartsheet.Concurrency
	if c.Policy.Removed == "placeholder" {
		j.Policy.RemovedAfter = c.Policy.RemovedAfter
	}
	return j, func() { closeSources(); client.Close() }, nil
}

// withJob calls do with the job that a configuration describes. It opens the state for reading
// only; there may be none.
func withJob(s *setup, do func(job.Job) error) error {
	j, closeAll, err := open(s, job.How{RunID: newRunID(time.Now())}, nil, zerolog.Nop())
	if err != nil {
		return err
	}
	defer closeAll()
	return withState(s.State.Path, state.Options{ReadOnly: true}, func(st *state.Store) error {
		j.State = st
		return do(j)
	})
}

func baseURL(s config.Smartsheet) string { return cmp.Or(s.BaseURL, smartsheet.Roots[s.Region]) }

// newClient makes the client of Smartsheet; abort ends requests on the wire. It contacts nobody.
// Its errors are usage errors.
func newClient(s config.Smartsheet, abort <-chan struct{}, log zerolog.Logger) (*smartsheet.Client, error) {
	c, err := smartsheet.New(smartsheet.Options{
		BaseURL: baseURL(s), AllowHTTP: s.AllowHTTP, Transport: smartsheet.NewTransport(s.CAs), Token: s.Token.Reveal(), OAuth2: oauth2Options(s.OAuth2),
		IntegrationSource: s.IntegrationSource, AssumeUser: s.AssumeUser,
		// So that Smartsheet's support knows which program called.
		UserAgent:         fmt.Sprintf("photosync/%s (%s; %s) %s", build().version, runtime.GOOS, runtime.GOARCH, runtime.Version()),
		RequestsPerMinute: s.RequestsPerMinute, UploadWeight: s.UploadWeight,
		Timeout: time.Duration(s.Timeout), MaxAttempts: s.Retry.MaxAttempts, MaxWait: time.Duration(s.Retry.MaxWait),
		Grace: grace, Abort: abort,
		Observe: func(e *smartsheet.Error, attempt int, wait time.Duration) {
			level := zerolog.WarnLevel
			if e.Status == http.StatusTooManyRequests { // normal: the throttle finds its share of the quota this way
				level = zerolog.DebugLevel
			}
			log.WithLevel(level).Str("op", e.Op).Int("http_status", e.Status).Int("error_code", e.Code).Str("ref_id", e.RefID).
				Int("attempt", attempt).Int64("wait_ms", wait.Milliseconds()).Msg("trying again: " + e.Error())
		},
	})
	return c, usage(err)
}

func oauth2Options(o config.OAuth2) *smartsheet.OAuth2 {
	if !o.Set() {
		return nil
	}
	return &smartsheet.OAuth2{ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), RefreshTokenFile: o.RefreshTokenFile}
}

// openSources makes the sources of the configuration. It contacts none of them. Its errors are usage errors.
func openSources(c *config.Config) (srcs []sources.Named, closeAll func(), err error) {
	var opened []io.Closer
	closeAll = func() {
		for _, c := range opened {
			c.Close() // nothing was written
		}
	}
	for _, s := range c.Sources {
		var src sources.Source = folder.New(folder.Options{
			Path: s.Path, Recursive: s.Recursive, MappingFile: s.MappingFile, MinAge: time.Duration(s.MinAge),
		})
		if s.Type == "ldap" {
			l, err := ldap.New(ldapOptions(s))
			if err != nil {
				return nil, nil, usage(fmt.Errorf("source %q: %w", s.Name, err))
			}
			opened, src = append(opened, l), l
		}
		srcs = append(srcs, sources.Named{
			Name: s.Name, Type: s.Type, Domains: s.Domains, MayBeEmpty: s.MayBeEmpty, Source: src, Rewrite: c.Match.Domains,
		})
	}
	return srcs, closeAll, nil
}

func ldapOptions(s config.Source) ldap.Options {
	return ldap.Options{
		URLs: s.URLs, Auth: s.Auth, BindDN: s.BindDN, Password: s.BindPassword.Reveal(), Kerberos: ldap.Kerberos(s.Kerberos),
		BaseDN: s.BaseDN, Filter: s.Filter, ExcludeFilter: s.ExcludeFilter, MemberOf: s.MemberOf,
		EmailAttributes: s.EmailAttributes, PhotoAttributes: s.PhotoAttributes, PhotoChoice: s.PhotoChoice, IsPicture: photo.IsPicture,
		Paging: s.Paging, PageSize: s.PageSize, Deref: s.Deref == "always",
		ChangeDetection: s.ChangeDetection, AllowPlaintext: s.AllowPlaintext,
		TLS:         ldap.TLS{CAs: s.TLS.CAs, StartTLS: s.TLS.StartTLS, ServerName: s.TLS.ServerName, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile},
		IdleTimeout: time.Duration(s.IdleTimeout), ListTimeout: time.Duration(s.ListTimeout),
	}
}

// notifier makes the notifier for the receivers in the configuration. Metrics and the health check,
// which watch the nightly runs, get nothing from a run about some people only (part).
func notifier(c *config.Config, part bool) *notify.Notifier {
	o := notify.Options{Metrics: c.Metrics, Notify: c.Notify, UserAgent: "photosync/" + build().version}
	if part {
		o.Textfile, o.Pushgateway, o.Healthcheck = "", "", ""
	}
	return notify.New(o)
}
