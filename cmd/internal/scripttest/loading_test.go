//go:build unix

package scripttest

import "testing"

func TestMain(m *testing.M) { Main(m) }

// TestScripts runs the scripts that load plugins, without those of package loops.
func TestScripts(t *testing.T) { Loading(t, false) }
