package ui

import (
	"fmt"
	"io"
	"strings"
)

// Built is what there is to say about an artifact that was built.
type Built struct {
	Plugin    string
	Link      string   // "thin" or "full"
	Reason    string   // why not thin
	Joined    []string // packages of which a thin one has parts, because the host lacks them
	Bytes     int64
	CompileMS float64
	LinkMS    float64
	Cached    bool // it was there already
}

// PrintBuilt writes b. Its texts need not be clean.
//
//	hotgo: pricing is thin  36.1 KiB  compile 61ms  link 38ms
//	  joined: embed, io/fs
//
//	hotgo: report is full  3.2 MiB  in the store already
//	  full: it needs 120 packages that the host lacks or has in part
func PrintBuilt(w io.Writer, b Built, s Style) error {
	head := []string{Clean(b.Plugin) + " is " + Clean(b.Link), size(b.Bytes)}
	switch {
	case b.Cached:
		head = append(head, "in the store already")
	default:
		head = append(head, "compile "+milliseconds(b.CompileMS), "link "+milliseconds(b.LinkMS))
	}
	text := s.paint(faint, "hotgo:") + " " + strings.Join(head, "  ") + "\n"
	if b.Reason != "" {
		text += "  " + Clean(b.Link) + ": " + Clean(b.Reason) + "\n"
	}
	if len(b.Joined) > 0 {
		text += "  joined: " + strings.Join(cleanAll(b.Joined), ", ") + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	return nil
}
