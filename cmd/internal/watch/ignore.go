package watch

import "strings"

// leftover reports whether a file of this base name never counts unless the
// set names it: hidden files, tests, and what editors leave behind for a
// moment or for ever.
func leftover(name string) bool {
	switch {
	case strings.HasPrefix(name, "."):
		// .git, .idea, .vscode, .DS_Store; Emacs' lock .#a.go; vim's swap file
		// .a.go.swp; gedit's .goutputstream-XXXXXX.
		return true
	case strings.HasSuffix(name, "_test.go"):
		return true
	case strings.HasSuffix(name, "~"):
		return true // backups of vim, Emacs, Kate
	case strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#"):
		return true // Emacs' autosave
	case strings.Contains(name, "___jb_"):
		return true // a.go___jb_tmp___, a.go___jb_old___: JetBrains' safe write
	case name == "4913":
		// vim makes and removes it to learn whether the directory is writable
		// (src/bufwrite.c).
		return true
	}
	return swapFile(name)
}

// swapFile knows vim's swap files with a name that is not hidden, as on file
// systems without leading dots: .swp, .swo … .swa, and .swx for a moment.
func swapFile(name string) bool {
	i := len(name) - len(".swp")
	if i < 0 || name[i:i+3] != ".sw" {
		return false
	}
	c := name[len(name)-1]
	return 'a' <= c && c <= 'p' || c == 'x'
}

// foreignDir reports whether a directory of this base name is left out of what
// is found below a tree. The go command leaves out the same directories when
// it expands a pattern ("go help packages"); node_modules is left out because
// one installation makes tens of thousands of directories. A package or an
// embed that reaches such a directory all the same is in the build's own list,
// and so in the set.
func foreignDir(name string) bool {
	return leftover(name) || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules"
}
