package builder

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// settings is how the go command has to be called so that what it compiles
// fits a host.
type settings struct {
	flags     []string // of go build
	list      []string // of go list: those that choose files
	env       []string // added to the environment
	gcflags   string   // the host's -gcflags, "" if none
	asmflags  string   // the host's -asmflags, "" if none
	race      bool
	trimpath  bool
	profile   string            // file of -pgo, "" if none
	manifest  map[string]string // what the manifest records
	pgoBroken string            // a profile that the host used and that cannot be found
}

// ruleFlags is the catalogue's code for a build that differs.
const ruleFlags = "HG0091"

// followHost derives the settings from the host's build info. host is nil
// where there is no binary yet: the options and the environment decide then.
// hostDir is the directory of the host's main package, "" where unknown.
//
// Build info is described in runtime/debug (BuildInfo.Settings); which flags
// it records is decided in cmd/go/internal/load/pkg.go, setBuildInfo (Go 1.26).
func followHost(opts Options, env *gotool.Environment, host *abi.Fingerprint, hostDir string) (*settings, error) {
	s := &settings{manifest: map[string]string{}}
	if host == nil {
		s.trimpath = slices.ContainsFunc(strings.Fields(env.GOFLAGS), func(f string) bool {
			return f == "-trimpath" || f == "-trimpath=true" || f == "--trimpath"
		})
		if opts.Race != nil {
			s.boolean("-race", *opts.Race)
		}
		if opts.Tags != "" {
			s.value("-tags", opts.Tags)
		}
		return s, nil
	}
	if err := loadable(host); err != nil {
		return nil, err
	}
	if toolchain(env.GOVERSION) != toolchain(host.GoVersion) {
		return nil, &ConflictError{
			Message:  "the host was built with another Go release",
			Evidence: []abi.Mismatch{{What: "go version", Host: host.GoVersion, Artifact: env.GOVERSION, Rule: ruleFlags}},
			Limit:    "the Go runtime loads plugins of its own release only",
			Next:     "GOTOOLCHAIN=" + toolchain(host.GoVersion) + " hotgo build",
		}
	}
	if err := s.asked(opts, host); err != nil {
		return nil, err
	}
	get := func(key string) string { return host.Settings[key] }
	s.trimpath = get("-trimpath") == "true"
	s.boolean("-race", get("-race") == "true")
	s.boolean("-trimpath", s.trimpath)
	s.value("-tags", get("-tags"))
	for _, f := range []string{"-msan", "-asan"} {
		if get(f) == "true" {
			s.boolean(f, true)
		}
	}
	s.race = get("-race") == "true"
	if s.asmflags = get("-asmflags"); s.asmflags != "" {
		s.value("-asmflags", s.asmflags)
	}
	if s.gcflags = get("-gcflags"); s.gcflags != "" {
		s.value("-gcflags", s.gcflags)
	}
	s.profileOf(get("-pgo"), hostDir)
	for _, key := range []string{"GOOS", "GOARCH", "GOEXPERIMENT", "GOFIPS140", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64"} {
		if v := get(key); v != "" {
			s.env = append(s.env, key+"="+v)
			s.manifest[key] = v
		}
	}
	// -trimpath keeps the C flags out of the build info; without it they
	// are all there, empty ones too.
	for _, key := range []string{"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS"} {
		if v, ok := host.Settings[key]; ok {
			s.env = append(s.env, key+"="+v)
		}
	}
	s.env = append(s.env, "CGO_ENABLED=1")
	return s, nil
}

// loadable refuses hosts that can take no plugin at all.
func loadable(host *abi.Fingerprint) error {
	refuse := func(what, is, wants, next string) error {
		return &ConflictError{
			Message:  "the host cannot load plugins",
			Evidence: []abi.Mismatch{{What: what, Host: is, Artifact: wants, Rule: ruleFlags}},
			Limit:    "the Go runtime",
			Next:     next,
		}
	}
	switch {
	case host.Settings["CGO_ENABLED"] == "0":
		return refuse("CGO_ENABLED", "0", "1", "CGO_ENABLED=1 go build "+host.Package)
	case host.Settings["-compiler"] != "" && host.Settings["-compiler"] != "gc":
		return refuse("-compiler", host.Settings["-compiler"], "gc", "go build -compiler=gc "+host.Package)
	case host.Settings["-cover"] == "true":
		return refuse("-cover", "true", "false", "go build "+host.Package)
	case !host.Exports:
		return refuse("symbols for plugins", "none", "needed", `import _ "`+reloaderPath+`/auto" in `+host.Package+", then build it again with cgo")
	}
	return nil
}

// asked compares what the user asked for with what the host has.
func (s *settings) asked(opts Options, host *abi.Fingerprint) error {
	var diff []abi.Mismatch
	if opts.Race != nil && fmt.Sprint(*opts.Race) != orFalse(host.Settings["-race"]) {
		diff = append(diff, abi.Mismatch{What: "-race", Host: orFalse(host.Settings["-race"]), Artifact: fmt.Sprint(*opts.Race), Rule: ruleFlags})
	}
	if opts.Tags != "" && !slices.Equal(tagSet(opts.Tags), tagSet(host.Settings["-tags"])) {
		diff = append(diff, abi.Mismatch{What: "-tags", Host: host.Settings["-tags"], Artifact: opts.Tags, Rule: ruleFlags})
	}
	if diff == nil {
		return nil
	}
	return &ConflictError{
		Message:  "the flags asked for are not the host's",
		Evidence: diff,
		Limit:    "the Go runtime: plugin and host must be built alike",
		Next:     "leave the flags out to follow the host, or build the host with them",
	}
}

func tagSet(tags string) []string {
	set := strings.FieldsFunc(tags, func(r rune) bool { return r == ',' || r == ' ' })
	sort.Strings(set)
	return slices.Compact(set)
}

func orFalse(s string) string {
	if s == "" {
		return "false"
	}
	return s
}

// boolean passes a flag even where it is off: GOFLAGS may turn it on.
func (s *settings) boolean(flag string, on bool) {
	s.flags = append(s.flags, fmt.Sprintf("%s=%t", flag, on))
	if flag != "-trimpath" {
		s.list = append(s.list, fmt.Sprintf("%s=%t", flag, on))
	}
	if on {
		s.manifest[flag] = "true"
	}
}

func (s *settings) value(flag, v string) {
	s.flags = append(s.flags, flag+"="+v)
	if flag == "-tags" {
		s.list = append(s.list, flag+"="+v)
	}
	if v != "" {
		s.manifest[flag] = v
	}
}

// profileOf finds the profile of a host built with -pgo. The build info holds
// its path, or only its base name under -trimpath; go build -pgo=auto takes
// default.pgo from the main package.
func (s *settings) profileOf(path, hostDir string) {
	if path == "" || path == "off" {
		s.value("-pgo", "off")
		return
	}
	for _, p := range []string{path, filepath.Join(hostDir, filepath.Base(path))} {
		if fi, err := os.Stat(p); err == nil && filepath.IsAbs(p) && fi.Mode().IsRegular() {
			s.profile = p
			s.value("-pgo", p)
			return
		}
	}
	s.pgoBroken = path
}

// toolchain cuts experiments and vendor suffixes off a Go version. Programs of
// releases have "go1.26.8-X:name" (cmd/link/internal/ld/main.go, Go 1.26 and
// 1.27: Main).
func toolchain(version string) string {
	version, _, _ = strings.Cut(version, " ")
	version, _, _ = strings.Cut(version, "-X:")
	return version
}
