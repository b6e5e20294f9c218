package doctor

import (
	"fmt"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder"
)

// goFlag is a flag in GOFLAGS that does not leave builds as they are.
type goFlag struct {
	result Result
	why    string
}

// goFlags are the flags worth a word. The others either follow the host (-race,
// -tags, -trimpath, -gcflags, -pgo: hotgo passes them itself, as the host has
// them) or change nothing that is built.
var goFlags = map[string]goFlag{
	"overlay":    {Problem, "hotgo needs the go command's only overlay for the identity of artifacts"},
	"n":          {Problem, "the go command prints what it would do, and builds nothing"},
	"buildmode":  {Problem, "hosts are programs and artifacts plugins; hotgo says which, and the hosts of go build become something else"},
	"linkshared": {Problem, "hosts would be linked against Go's packages as shared libraries, and load no plugin"},
	"compiler":   {Problem, "plugins are a matter of the gc compiler"},
	"cover":      {Problem, "a host that counts coverage loads no plugin: the counters are in no package hash"},
	"toolexec":   {Warning, "hotgo watch compiles without the go command where it can, and so without this program"},
	"mod=mod":    {Warning, "builds may write to go.mod, and with it change what the host was built from"},
	"mod=vendor": {Warning, "plugins with cgo or assembly cannot be built: they are made modules of their own, and vendor/ has none of those"},
	"modfile":    {Warning, "go.mod is not the file that decides, so an edit of it changes nothing"},
	"msan":       {Warning, "artifacts are linked in full, and nothing is patched"},
	"asan":       {Warning, "artifacts are linked in full, and nothing is patched"},
	"a":          {Warning, "every build compiles everything: an edit takes minutes"},
	"race":       {Warning, "the hosts of go build have the race detector, which needs cgo; artifacts follow their host"},
	"ldflags":    {Warning, "the hosts of go build get these; artifacts get those of hotgo's setting ldflags"},
}

// environment looks for settings that break builds, or make them others than the
// host's.
func (w World) environment(t *builder.Toolchain) []Check {
	checks := []Check{skipped("env.goflags", "the go command cannot be asked"), skipped("env.build", "there is no go command to ask")}
	if t != nil {
		checks = []Check{goflags(t.Env["GOFLAGS"], w.Getenv("GOFLAGS") != ""), w.build(t)}
	}
	hotgo := ok("env.hotgo", "every HOTGO_ variable is a setting")
	if len(w.UnknownHotgo) > 0 {
		hotgo.Result, hotgo.What = Warning, strings.Join(w.UnknownHotgo, "; ")
		hotgo.Why, hotgo.Next = "nobody reads it: the setting that was meant has its default", "hotgo config view"
	}
	return append(checks, hotgo)
}

// goflags judges the value of GOFLAGS; inEnvironment tells a variable from what
// `go env -w` wrote.
func goflags(value string, inEnvironment bool) Check {
	c := ok("env.goflags", "GOFLAGS has nothing that breaks builds")
	var why []string
	for _, word := range strings.Fields(value) {
		flag := strings.TrimLeft(word, "-'\"")
		name, arg, _ := strings.Cut(flag, "=")
		known, listed := goFlags[flag]
		if !listed {
			known, listed = goFlags[name]
		}
		if name == "ldflags" && strings.Contains(value, "-static") {
			known = goFlag{Problem, "a static host has no dynamic linker to load plugins with"}
		}
		if !listed || arg == "false" {
			continue
		}
		if c.Result != Problem {
			c.Result = known.result
		}
		c.Facts = append(c.Facts, Fact{What: "GOFLAGS", Is: strings.Trim(word, "'\"")})
		why = append(why, "-"+name+": "+known.why)
	}
	if c.Result == OK {
		if value != "" {
			c.What += ": " + value
		}
		return c
	}
	c.What = "GOFLAGS changes builds: " + value
	c.Why = strings.Join(why, "; ")
	c.Next = "go env -u GOFLAGS"
	if inEnvironment {
		c.Next = "unset GOFLAGS"
	}
	return c
}

// build looks at the other variables of the go command.
func (w World) build(t *builder.Toolchain) Check {
	c := ok("env.build", "nothing else changes builds")
	add := func(result Result, name, is, need, why, next string) {
		c.Facts = append(c.Facts, Fact{What: name, Is: is, Need: need})
		c.Why = strings.TrimPrefix(c.Why+"; "+name+": "+why, "; ")
		if c.Result == OK || result == Problem && c.Result != Problem {
			c.Result, c.Next = result, next
		}
	}
	if level, has := t.Env["GOAMD64"], w.cpu(); t.GOARCH == "amd64" && has != "" && level > has {
		add(Problem, "GOAMD64", level, "at most "+has, "this processor lacks the instructions of "+level+": a host built so dies of SIGILL", "export GOAMD64="+has)
	}
	if t.GOOS != "" && w.GOOS != "" && t.GOOS != w.GOOS {
		add(Warning, "GOOS", t.GOOS, w.GOOS, "what is built here does not run here", "unset GOOS")
	}
	if v := t.Env["GOWORK"]; v == "off" {
		add(Warning, "GOWORK", v, "", "hosts and plugins of a workspace are not built from its modules", "unset GOWORK")
	}
	if v := t.Env["GOEXPERIMENT"]; v != "" {
		add(Warning, "GOEXPERIMENT", v, "", "host and artifacts have to be built with the same one; hotgo follows the host's", "unset GOEXPERIMENT")
	}
	if v := w.Getenv("CGO_LDFLAGS"); strings.Contains(v, "-static") {
		add(Problem, "CGO_LDFLAGS", v, "without -static", "a static host has no dynamic linker to load plugins with", "unset CGO_LDFLAGS")
	}
	for _, name := range []string{"CGO_CFLAGS", "CGO_CPPFLAGS"} {
		if v := w.Getenv(name); v != "" {
			add(Warning, name, v, "", "hosts built with other C flags have other package hashes; hotgo follows the host's, unless it was built with -trimpath, which hides them", "unset "+name)
		}
	}
	if c.Result != OK {
		var names []string
		for _, f := range c.Facts {
			names = append(names, f.What+"="+f.Is)
		}
		c.What = "the environment changes builds: " + strings.Join(names, " ")
	}
	return c
}

// cpu gives the GOAMD64 level of this machine's processor, "" if unknown.
func (w World) cpu() string {
	data, err := w.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	return builder.CPULevel(string(data))
}

// watching looks at what `hotgo watch` needs: room in the system's tables, and
// file systems that announce changes.
func (w World) watching(m module) []Check {
	events := ok("watch.events", "the file systems of the module announce changes")
	told := map[string]bool{}
	for _, dir := range append([]string{w.WorkDir}, m.dirs...) {
		on, err := w.FileSystem(dir)
		if err != nil || on.Name == "" || told[on.Name] {
			continue
		}
		told[on.Name] = true
		events.Facts = append(events.Facts, Fact{What: dir, Is: on.Name})
	}
	switch {
	case len(events.Facts) == 0:
	case w.Polls:
		events.What = "hotgo polls, so it does not matter that " + events.Facts[0].What + " is on " + events.Facts[0].Is
	default:
		events.Result, events.What = Warning, fmt.Sprintf("%s is on %s, which may not announce changes", events.Facts[0].What, events.Facts[0].Is)
		events.Why = "hotgo watch notices changes that nobody announced, but the first ones take seconds"
		events.Next = "hotgo watch --poll"
	}
	return []Check{w.inotify(len(m.dirs)), events}
}

// inotify compares the limits with what is in use and what would be added.
func (w World) inotify(need int) Check {
	const id = "watch.inotify"
	const watches, instances = "fs.inotify.max_user_watches", "fs.inotify.max_user_instances"
	if w.Polls {
		return ok(id, "hotgo polls: no limit of the system applies")
	}
	most, mostInstances := w.sysctl(watches), w.sysctl(instances)
	if w.GOOS != "linux" || most < 0 || mostInstances < 0 {
		return skipped(id, "this system has no inotify whose limits could be read")
	}
	used := w.Watches()
	c := ok(id, "%d of %d watches in use, %d directories to watch", used.Watches, most, need)
	c.Facts = []Fact{
		{What: watches, Is: fmt.Sprint(most), Need: fmt.Sprintf("%d (%d in use, %d more)", used.Watches+need, used.Watches, need)},
		{What: instances, Is: fmt.Sprint(mostInstances), Need: fmt.Sprintf("%d (%d in use, 1 more)", used.Instances+1, used.Instances)},
	}
	const why = "where no watch is left, hotgo polls: an edit is seen later, and at some cost"
	switch {
	case used.Watches+need > most:
		c.Result, c.Why, c.Next = Problem, why, fmt.Sprintf("sudo sysctl %s=%d", watches, max(524288, 4*most))
	case used.Instances+1 > mostInstances:
		c.Result, c.Why, c.Next = Problem, why, fmt.Sprintf("sudo sysctl %s=%d", instances, max(512, 4*mostInstances))
	case 10*(used.Watches+need) > 9*most:
		c.Result, c.Why, c.Next = Warning, why, fmt.Sprintf("sudo sysctl %s=%d", watches, max(524288, 4*most))
	}
	return c
}
