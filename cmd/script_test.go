//go:build unix

package cmd_test

import (
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/scripttest"
)

func TestMain(m *testing.M) { scripttest.Main(m) }

// TestScripts runs the scripts that load no plugin; package scripttest and the one below it run the others.
func TestScripts(t *testing.T) { scripttest.Others(t) }
