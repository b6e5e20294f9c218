package cmd

import (
	"context"
	"fmt"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/pkg/builder"
)

// buildPatch builds a patch of the host's own code.
func (s *session) buildPatch(ctx context.Context, named []string, base string) (*buildAnswer, error) {
	if len(named) > 0 {
		return nil, &usageError{msg: "a patch is of a host as a whole: it takes no plugins", next: "hotgo build --mode patch --host BIN"}
	}
	b, err := s.builder(func(o *builder.Options) { o.Base = base })
	if err != nil {
		return nil, err
	}
	defer b.Close()
	host, err := s.buildHost(ctx, b)
	if err != nil {
		return nil, err
	}
	if host.Binary == "" {
		return nil, &usageError{msg: "a patch is made for a binary", next: "hotgo build --mode patch --host BIN"}
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	defer s.beat("building")()
	answer := &buildAnswer{V: 1, Artifacts: []builtArtifact{}}
	plan, err := b.PlanPatch(ctx, host, nil)
	if err != nil {
		return nil, err
	}
	switch plan.Verdict {
	case builder.MustRestart:
		return nil, choose.FromPlan(plan)
	case builder.NoDifference:
		if !s.cfg.Quiet {
			s.say("nothing to patch: %s is what %s was built from", plan.Name, s.short(s.cfg.Host))
			if plan.Assumed && len(plan.Packages) == 0 {
				s.say("%s; --base says better", deploy.Doubt(plan.Name).Text)
			}
		}
		return answer, nil
	}
	art, err := b.BuildPatch(ctx, plan)
	if err != nil {
		return nil, err
	}
	one := builtArtifact{
		Plugin: plan.Name, Key: plan.Key, Path: art.Path, Digest: art.Digest, Bytes: art.Bytes, Link: art.Manifest.Link,
		HostBuild: art.Manifest.HostBuild, Joined: art.Manifest.Joined, Cached: art.Cached,
		CompileMS: milliseconds(art.Compile), LinkMS: milliseconds(art.Link),
	}
	if one.Signature, err = signer.put(art); err != nil {
		return nil, err
	}
	for _, f := range plan.Functions {
		if f.Change != "removed" {
			one.Functions = append(one.Functions, f.Name)
		}
	}
	for _, f := range plan.Findings {
		one.Notes = append(one.Notes, choose.Finding(f))
		if !s.cfg.Quiet {
			s.say("%s %s", f.Code, f.Text)
		}
	}
	answer.Artifacts = append(answer.Artifacts, one)
	if err := s.describe(one); err != nil || s.json() {
		return answer, err
	}
	_, err = fmt.Fprintln(s.stdio.Out, one.Path)
	return answer, err
}

// checkPatchFlags refuses flags of build that contradict each other.
func (s *session) checkPatchFlags(base string) error {
	if base != "" && s.mode() != choose.Patch {
		return &usageError{msg: "--base is for patches", next: "hotgo build --mode patch --base " + base}
	}
	return nil
}
