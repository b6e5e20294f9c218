package table

import (
	"slices"
	"strings"
	"testing"
)

// rolls throws the same numbers every time.
func rolls(numbers ...int) func(int) int {
	return func(int) int {
		n := numbers[0]
		numbers = numbers[1:]
		return n
	}
}

func TestEachRollFallsOnTheItemOfItsWeight(t *testing.T) {
	table := Table{Draws: 5, Items: []Item{{"gold", 2}, {nothing, 1}, {"egg", 1}}}
	if got, want := table.Draw(rolls(1, 2, 3, 4, 4)), []string{"gold", "gold", "egg", "egg"}; !slices.Equal(got, want) {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestKindWithoutTableLeavesNothing(t *testing.T) {
	var none Table
	if got := none.Draw(rolls()); got != nil {
		t.Errorf("drew %q", got)
	}
}

func TestEmbeddedTablesMakeSense(t *testing.T) {
	tables, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"vermin", "beast", "dragon"} {
		if tables[kind].Draws == 0 {
			t.Errorf("a %s leaves nothing", kind)
		}
	}
}

func TestTablesThatMakeNoSenseAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"not JSON":      {`{"beast":`, "unexpected EOF"},
		"unknown field": {`{"beast":{"drawz":1}}`, "drawz"},
		"no weight":     {`{"beast":{"draws":1,"items":[{"name":"fur"}]}}`, "beast: the weight of fur is 0"},
		"no name":       {`{"beast":{"draws":1,"items":[{"weight":1}]}}`, "no name"},
		"no items":      {`{"beast":{"draws":1}}`, "1 draws from no items"},
		"many draws":    {`{"beast":{"draws":101}}`, "draws is 101"},
	} {
		if _, err := parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(source)
	f.Add([]byte(`{"beast":{"draws":1,"items":[{"name":"fur","weight":1}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, err := parse(data)
		if err != nil {
			return
		}
		// What was accepted can be drawn from with any roll.
		for kind, table := range tables {
			for _, roll := range []func(int) int{
				func(int) int { return 1 },
				func(n int) int { return n },
			} {
				if got := table.Draw(roll); len(got) > table.Draws || slices.Contains(got, nothing) {
					t.Errorf("%s: drew %q from %+v", kind, got, table)
				}
			}
		}
	})
}
