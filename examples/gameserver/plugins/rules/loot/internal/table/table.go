// Package table reads the loot tables. They are data: who edits them need not
// know Go, and a running server gets them the same way as new code.
package table

import (
	"bytes"
	_ "embed" // the tables travel inside the plugin
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

//go:embed tables.json
var source []byte

// nothing is the item that stands for none.
const nothing = "nothing"

// Table says what one kind of monster leaves behind.
type Table struct {
	Draws int    `json:"draws"` // how many items at most
	Items []Item `json:"items"`
}

// Item is one thing, and how often it comes up compared with the others.
type Item struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

// Load gives the tables by kind of monster. They are read once for each version
// of the rules.
var Load = sync.OnceValues(func() (map[string]Table, error) { return parse(source) })

// parse reads tables and checks that every draw has something to choose from.
func parse(data []byte) (map[string]Table, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var tables map[string]Table
	if err := d.Decode(&tables); err != nil {
		return nil, fmt.Errorf("read loot tables: %w", err)
	}
	for _, kind := range slices.Sorted(maps.Keys(tables)) {
		if err := tables[kind].check(); err != nil {
			return nil, fmt.Errorf("read loot tables: %s: %w", kind, err)
		}
	}
	return tables, nil
}

// limit keeps the sum of weights far from where it would overflow.
const limit = 1_000_000

func (t Table) check() error {
	if t.Draws < 0 || t.Draws > 100 {
		return fmt.Errorf("draws is %d, want 0 to 100", t.Draws)
	}
	for _, item := range t.Items {
		if item.Name == "" {
			return errors.New("an item has no name")
		}
		if item.Weight <= 0 || item.Weight > limit {
			return fmt.Errorf("the weight of %s is %d, want 1 to %d", item.Name, item.Weight, limit)
		}
	}
	if t.Draws > 0 && len(t.Items) == 0 {
		return fmt.Errorf("%d draws from no items", t.Draws)
	}
	return nil
}

// Draw throws the dice for each draw. roll gives 1 to n.
func (t Table) Draw(roll func(n int) int) []string {
	sum := 0
	for _, item := range t.Items {
		sum += item.Weight
	}
	var drawn []string
	for range t.Draws {
		if name := t.at(roll(sum)); name != nothing {
			drawn = append(drawn, name)
		}
	}
	return drawn
}

// at gives the item that a roll of 1 to the sum of weights falls on.
func (t Table) at(roll int) string {
	for _, item := range t.Items {
		if roll -= item.Weight; roll <= 0 {
			return item.Name
		}
	}
	return nothing
}
