package builder

import (
	"os"
	"testing"
)

// everything reports whether tests are to take all rows of tables that take minutes, as
// CI has them do. Otherwise they take some of each kind: go test gives a package ten
// minutes, and may run another one beside it.
func everything() bool { return os.Getenv("HOTGO_TEST_FULL") != "" && !testing.Short() }
