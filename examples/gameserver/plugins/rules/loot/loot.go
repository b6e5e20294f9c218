// Package loot says what a slain monster leaves behind.
package loot

import "github.com/hotgo/hotgo/examples/gameserver/plugins/rules/loot/internal/table"

// Of gives what a monster of this kind leaves behind, none for a kind without a
// table. roll throws a die of n sides.
func Of(kind string, roll func(n int) int) []string {
	tables, err := table.Load()
	if err != nil {
		return nil // Check has said so before these rules were live
	}
	return tables[kind].Draw(roll)
}

// Check reports tables that make no sense.
func Check() error {
	_, err := table.Load()
	return err
}
