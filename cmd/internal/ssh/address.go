// Package ssh reaches the control sockets of other machines through the user's own
// ssh: its keys, its agent, its configuration.
//
// Of the other machine it wants an account that may run a command and forward Unix
// sockets, which OpenSSH allows unless it was told not to, and nothing of hotgo. The
// process that connects there is sshd's, under that account's uid, so a host serves it
// where it would serve the account itself.
//
//	ssh web1 sh          lists sockets, where a target does not name one
//	ssh -L … web1 cat    forwards them for as long as hotgo lives
//
// The command is what ends the second one: cat ends with its input, and ssh with cat and
// the connections that it forwards, however hotgo ends. It also says when the way is
// open, by giving back a line.
package ssh

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

const scheme = "ssh://"

// Is reports whether a target is on another machine.
func Is(target string) bool { return strings.HasPrefix(target, scheme) }

// Machine is where ssh connects to. What is not said is for ssh's configuration.
type Machine struct{ User, Host, Port string }

// String gives the machine's part of a target.
func (m Machine) String() string {
	s := m.Host
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if m.User != "" {
		s = m.User + "@" + s
	}
	if m.Port != "" {
		s += ":" + m.Port
	}
	return scheme + s
}

// Address is a target on another machine: ssh://[USER@]MACHINE[:PORT][/WHAT].
type Address struct {
	Machine Machine
	// What is the absolute path of a socket, a pattern of such paths, or as on this
	// machine a host's name, a pattern of names, or a process id. "" is every host of
	// the account.
	What string
}

// String gives the target.
func (a Address) String() string {
	if a.What == "" || a.IsPath() {
		return a.Machine.String() + a.What
	}
	return a.Machine.String() + "/" + a.What
}

// IsPath reports whether the address names sockets, and not processes.
func (a Address) IsPath() bool { return strings.HasPrefix(a.What, "/") }

// IsPattern reports whether the address's path is a pattern.
func (a Address) IsPattern() bool { return a.IsPath() && strings.ContainsAny(a.What, meta) }

// meta are the characters that make a pattern of a path, as path.Match has them; a
// backslash is refused in all paths.
const meta = "*?["

// Parse reads a target. Nothing is looked up.
//
// It takes less than ssh does: what ssh, its configuration or a shell would expand or
// read as an option is refused.
func Parse(target string) (Address, error) {
	rest, ok := strings.CutPrefix(target, scheme)
	if !ok {
		return Address{}, fmt.Errorf("%q does not begin with %s", target, scheme)
	}
	authority, what, slash := strings.Cut(rest, "/")
	var a Address
	var err error
	if a.Machine, err = parseMachine(authority); err != nil {
		return Address{}, fmt.Errorf("%q is not a target: %w", target, err)
	}
	if slash && what != "" {
		a.What = what
		if strings.Contains(what, "/") || strings.HasSuffix(what, ".sock") {
			a.What = "/" + what
		}
	}
	if err := checkWhat(a.What); err != nil {
		return Address{}, fmt.Errorf("%q is not a target: %w", target, err)
	}
	return a, nil
}

func parseMachine(authority string) (Machine, error) {
	var m Machine
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		m.User, authority = authority[:i], authority[i+1:]
		if !plain(m.User, "._-+") {
			return m, errors.New("the user is no plain name")
		}
	}
	m.Host = authority
	if inner, ok := strings.CutPrefix(authority, "["); ok {
		host, port, closed := strings.Cut(inner, "]")
		if !closed || port != "" && port[0] != ':' || !strings.Contains(host, ":") || !plain(host, ":.") {
			return m, errors.New("the address in brackets is none")
		}
		m.Host, m.Port = host, strings.TrimPrefix(port, ":")
		if port == ":" {
			return m, errors.New("the port is no number")
		}
	} else if host, port, ok := strings.Cut(authority, ":"); ok {
		m.Host, m.Port = host, port
		if port == "" {
			return m, errors.New("the port is no number")
		}
	}
	switch {
	case strings.Trim(m.Port, "0123456789") != "" || len(m.Port) > 5:
		return m, errors.New("the port is no number")
	case m.Host == "":
		return m, errors.New("the machine is missing")
	case !strings.Contains(m.Host, ":") && !plain(m.Host, "._-"):
		return m, errors.New("the machine is no plain name")
	}
	return m, nil
}

// plain reports whether s has letters and digits of ASCII, and others where they are
// not first, and is not empty.
func plain(s, others string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (!strings.ContainsRune(others, r) || i == 0 && r != ':' && r != '_') {
			return false
		}
	}
	return s != ""
}

// checkWhat refuses what -L reads as something else than a path: colons end it,
// backslashes quote, and percent and dollar signs are expanded (ssh_config(5),
// TOKENS).
func checkWhat(what string) error {
	for _, r := range what {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`:\%$`, r) {
			return fmt.Errorf("%q cannot be forwarded by ssh", what)
		}
	}
	if _, err := path.Match(what, ""); err != nil {
		return fmt.Errorf("%q is no pattern", what)
	}
	return nil
}
