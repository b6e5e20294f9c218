//go:build unix

// Package loops_test runs the scripts in which hotgo watch and hotgo run load plugins.
package loops_test

import (
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/scripttest"
)

func TestMain(m *testing.M) { scripttest.Main(m) }

// TestScripts runs these scripts.
func TestScripts(t *testing.T) { scripttest.Loading(t, true) }
