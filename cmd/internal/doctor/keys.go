package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// SigningKey is the key of the settings, as far as it can be told without asking
// anybody for a password.
type SigningKey struct {
	ID      string // "" where a password protects it
	Warning string // what is unsafe about its file, "" where nothing is
}

// keys looks at the key that artifacts are signed with, and at the hosts that ask
// for one.
func (w World) keys(ctx context.Context) Check {
	const id = "sign.key"
	var wants []string // hosts that take nothing that the key signs
	key, err := SigningKey{}, error(nil)
	if w.SignKey != "" {
		key, err = w.ReadKey(w.SignKey)
	}
	known := w.SignKey != "" && err == nil && key.ID == "" // it is, by who has the password
	c := ok(id, "no key is set, and no running host asks for one")
	for _, st := range w.Running(ctx) {
		if st.TrustedKeys == nil || known || key.ID != "" && slices.Contains(st.TrustedKeys, key.ID) {
			continue
		}
		wants = append(wants, fmt.Sprintf("%s (pid %d)", st.Name, st.PID))
		c.Facts = append(c.Facts, Fact{What: wants[len(wants)-1], Is: orNone(key.ID), Need: orNone(strings.Join(st.TrustedKeys, " or "))})
	}
	switch {
	case err != nil:
		c.Result, c.Facts = Problem, nil
		c.What, c.Next, _ = w.DescribeError(err)
		c.Why = "build, push, run and watch sign with it, and do nothing without"
	case key.Warning != "":
		c.Result, c.What, c.Facts = Warning, key.Warning, nil
		c.Why, c.Next = "who can read the key can sign, and hosts take what they signed", "chmod 600 "+w.SignKey
	case len(wants) > 0 && w.SignKey == "":
		c.Result, c.What = Warning, "no key is set, and "+strings.Join(wants, ", ")+" takes what is signed alone"
		c.Why, c.Next = "what is pushed there is refused (HG0100)", "sign-key: FILE in hotgo.yaml, or hotgo key new"
	case len(wants) > 0:
		c.Result, c.What = Warning, strings.Join(wants, ", ")+" does not trust the key in "+w.SignKey
		c.Why, c.Next = "what is signed with it is refused there (HG0101)", "sign-key: FILE in hotgo.yaml, or add the key to the host's Options.TrustedKeys"
	case key.ID != "":
		c.What = "artifacts are signed with " + key.ID + ", in " + w.SignKey
	case w.SignKey != "":
		c.What = "artifacts are signed with the key in " + w.SignKey + ", which a password protects"
	}
	return c
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
