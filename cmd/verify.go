package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/cmd/internal/verify"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// shownMismatches is how many mismatches are shown without -v.
const shownMismatches = 12

func newVerify(a *app) *cobra.Command {
	var host string
	var c *cobra.Command
	c = &cobra.Command{
		Use:   "verify ARTIFACT",
		Short: "Say whether a host would take an artifact, and why not",
		Long: `Say whether an artifact would load, without loading it. stdout, where it would:
NAME@sha256:DIGEST. Otherwise the exit code is 4, or 8 where signatures are all that
is wrong, and stderr lists all that keeps it out, with causes. The file may be any:
what is damaged, no plugin, or built by go build alone is judged like others.

--host says for which host: a binary, a process id, a control socket, or the name
of a running host. A binary is compared with the file. Of a process also counts
what it has loaded. A host with a control socket checks the artifact itself and has
the last word. Without --host these are the running hosts that a push would load it
into.

In the module that the artifact is from, hotgo also says which module requires a
version, and which files of a shared package have changed. In the host's module it
compares functions that no hash speaks of: their bodies in the artifact and in the
host.`,
		Example: `  hotgo verify greet-3fa91c0d2b7e.so --host ./server
  hotgo verify greet-3fa91c0d2b7e.so --host 812 -o json
  hotgo verify greet-3fa91c0d2b7e.so`,
		Args: args(cobra.ExactArgs(1)),
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			if host != "" && c.Flags().Changed("target") {
				return &usageError{msg: "--host contradicts --target", next: "hotgo verify " + args[0] + " --host " + host}
			}
			return s.verify(ctx, args[0], host)
		}),
	}
	config.Register(c.Flags(), config.Target)
	a.completeFlags(c)
	c.Flags().StringVar(&host, "host", "", "the `host` that is meant: a binary, a process id, a socket or a name")
	_ = c.RegisterFlagCompletionFunc("host", a.completeTargets)
	return c
}

func (s *session) verify(ctx context.Context, path, host string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &usageError{msg: "there is no artifact " + path, next: "hotgo build"}
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return &usageError{msg: path + " is no file", next: "hotgo verify ARTIFACT --host ./server"}
	}
	plugin := ""
	if a, err := builder.ReadArtifact(path); err == nil {
		plugin = a.Manifest.Plugin
	}
	subjects, lost, err := s.subjects(ctx, path, host)
	if err != nil {
		return err
	}
	defer s.beat("verifying")()
	fx := verify.Effects{DryRun: s.dryRun, Explain: s.explainReport, CompareBodies: s.compareBodies}
	answer := ui.VerifyAnswer{V: 1, Verdict: ui.VerifyFits}
	for _, subject := range subjects {
		v, err := verify.Judge(ctx, path, plugin, subject, fx)
		if err != nil && len(subjects) > 1 && ctx.Err() == nil {
			lost = errors.Join(lost, err) // the others still have something to say
			continue
		}
		if err != nil {
			return err
		}
		answer.Artifact = verifiedArtifact(v.Report)
		h := hostVerify(v)
		answer.Hosts = append(answer.Hosts, h)
		answer.Verdict = worse(answer.Verdict, h.Verdict)
		if !s.json() && !(s.cfg.Quiet && h.Verdict == ui.VerifyFits) {
			_ = ui.Verify(s.stdio.Err, v.Report.Name(), h, s.cfg.Verbose, s.style(s.stdio.Err))
		}
	}
	if len(answer.Hosts) == 0 {
		return lost
	}
	return s.verifyAnswer(answer, lost)
}

// verifyAnswer writes the data, and makes an exit code of the verdict.
func (s *session) verifyAnswer(answer ui.VerifyAnswer, lost error) error {
	refused := answer.Verdict == ui.VerifyRefused
	var err error
	switch a := answer.Artifact; {
	case s.json():
		err = ui.JSON(s.stdio.Out, answer)
	case !refused:
		name := a.Plugin
		if name == "" {
			name = strings.TrimSuffix(filepath.Base(a.Path), ".so")
		}
		_, err = fmt.Fprintln(s.stdio.Out, name+"@"+a.Digest)
	}
	switch {
	case err != nil:
		return err
	case refused && untrusted(answer.Hosts):
		return errUntrusted
	case refused:
		return errMisfit
	}
	return lost
}

// untrusted says whether nothing but its signature keeps an artifact out.
func untrusted(all []ui.HostVerify) bool {
	for _, h := range all {
		for _, m := range h.Mismatches {
			if m.Weight == builder.Refuses.String() && !slices.Contains(signatureRules, m.Code) {
				return false
			}
		}
	}
	return true
}

// signatureRules are the codes of the catalogue for signatures (docs/signing.md).
var signatureRules = []string{"HG0100", "HG0101", "HG0102", "HG0103", "HG0104", "HG0105"}

// subjects gives the hosts that are meant. lost is the error for those that did
// not answer beside others that did.
func (s *session) subjects(ctx context.Context, path, host string) (subjects []verify.Subject, lost, err error) {
	if host != "" {
		subjects, err = verify.Find(ctx, host)
		return subjects, nil, err
	}
	found, err := s.reach.Find(ctx, s.cfg.Targets)
	if err != nil {
		if e, ok := errors.AsType[*control.UnreachableError](err); ok && e.Target == "" {
			err = &usageError{msg: "no host runs: say which one is meant", next: "hotgo verify " + path + " --host ./server"}
		}
		return nil, nil, err
	}
	changes, err := deploy.FromFiles([]string{path}, found.Hosts, "", len(s.cfg.Targets) > 0)
	if err != nil {
		return nil, nil, err
	}
	var meant []control.Status // a file without a manifest may be another plugin in each host
	for _, c := range changes {
		meant = append(meant, c.Hosts...)
	}
	if len(meant) == 0 {
		e := &deploy.NoHolderError{Plugins: []string{changes[0].Plugin}, Hosts: found.Hosts}
		return nil, nil, &usageError{msg: e.Error(), next: fmt.Sprintf("hotgo verify %s --host %s", path, found.Hosts[0].Name)}
	}
	if len(s.cfg.Targets) > 0 {
		lost = missing(found)
	}
	return verify.Running(meant), lost, nil
}

// dryRun has a host check the artifact itself, with the signature that lies beside it.
func (s *session) dryRun(ctx context.Context, st control.Status, path string) (*control.Event, error) {
	signature, err := builder.ReadSignature(path)
	if err != nil {
		return nil, err
	}
	client := s.reach.Client(st)
	defer client.Close()
	return client.LoadFile(ctx, path, control.LoadOptions{DryRun: true, Signature: signature})
}

// explainReport adds what the sources here tell. Without a go command, or without
// a place for records, there is nothing to add.
func (s *session) explainReport(ctx context.Context, r *builder.Report) {
	b, err := s.builder()
	if err != nil {
		return
	}
	defer b.Close()
	b.Explain(ctx, r)
}

// compareBodies adds the functions that no hash speaks of.
func (s *session) compareBodies(ctx context.Context, r *builder.Report) error {
	b, err := s.builder()
	if err != nil {
		return nil //nolint:nilerr // as in explainReport
	}
	defer b.Close()
	return b.CompareBodies(ctx, r)
}

func verifiedArtifact(r *builder.Report) ui.VerifiedArtifact {
	m := r.Artifact.Manifest
	return ui.VerifiedArtifact{
		Path: r.Artifact.Path, Plugin: m.Plugin, Package: r.Package, Key: m.Key, Link: m.Link,
		Digest: r.Artifact.Digest, Bytes: r.Artifact.Bytes, Foreign: r.Foreign,
	}
}

// hostVerify puts a verdict into the answer.
func hostVerify(v *verify.Verdict) ui.HostVerify {
	h := ui.HostVerify{
		PID: v.Subject.PID, Binary: v.Subject.Binary, Verdict: ui.VerifyFits, Asked: v.Asked, Live: v.Live, Next: v.Next,
		Mismatches: verifyMismatches(v.Report.Mismatches), Headline: verifyMismatches(v.Report.Headline(shownMismatches)),
	}
	if v.Subject.PID != 0 {
		h.Host = v.Subject.Name
	}
	if v.Subject.Status != nil {
		h.Binary = v.Subject.Status.Executable
	}
	switch {
	case !v.Report.Fits():
		h.Verdict = ui.VerifyRefused
	case v.Report.Doubtful():
		h.Verdict = ui.VerifyDoubtful
	}
	return h
}

func verifyMismatches(all []builder.Mismatch) []ui.VerifyMismatch {
	var shown []ui.VerifyMismatch
	for _, m := range all {
		shown = append(shown, ui.VerifyMismatch{
			Kind: m.Kind.String(), Weight: m.Weight.String(), Code: m.Rule, What: m.What, Host: m.Host, Artifact: m.Artifact,
			Limit: m.Limit, Cause: m.Cause, Way: m.Way, Files: m.Files, RequiredBy: m.RequiredBy,
		})
	}
	return shown
}

// worse gives the worse of two verdicts.
func worse(a, b string) string {
	order := []string{ui.VerifyFits, ui.VerifyDoubtful, ui.VerifyRefused}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
