// Package api is what host and plugins share. The host uses a few of its
// declarations; the linker prunes the rest from its binary, and the plugins use
// that rest.
package api

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Money has a value method that many packages find by reflection.
type Money int64

func (m Money) String() string {
	return fmt.Sprintf("%d.%02d", int64(m)/100, int64(m)%100)
}

// MarshalJSON writes a string.
func (m Money) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, m.String()), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Money) UnmarshalJSON(b []byte) error {
	whole, cents, ok := strings.Cut(strings.Trim(string(b), `"`), ".")
	n, err := strconv.ParseInt(whole+cents, 10, 64)
	if !ok || err != nil {
		return &Error{Code: 7, Text: "no money: " + string(b)}
	}
	*m = Money(n)
	return nil
}

// Item has value and pointer methods.
type Item struct {
	Name  string            `json:"name" xml:"name,attr"`
	Price Money             `json:"price" xml:"price"`
	Tags  map[string]string `json:"tags,omitempty" xml:"-"`
	notes []string
}

// Total is a value method.
func (i Item) Total(n int) Money { return i.Price * Money(n) }

// Rename is a pointer method.
func (i *Item) Rename(name string) *Item {
	i.notes = append(i.notes, i.Name)
	i.Name = name
	return i
}

// Notes shows an unexported field.
func (i Item) Notes() []string { return i.notes }

// Base is embedded by types of plugins.
type Base struct {
	ID int
	*Item
}

// Describe is promoted to whatever embeds Base.
func (b *Base) Describe() string { return fmt.Sprintf("#%d %s at %v", b.ID, b.Name, b.Price) }

// Logger is embedded as an interface.
type Logger interface{ Log(string) string }

// Prefix is a Logger.
type Prefix string

// Log prefixes.
func (p Prefix) Log(s string) string { return string(p) + s }

// Shape is implemented by the host's types and by those of plugins.
type Shape interface {
	Area() float64
	Name() string
}

// Square is used by the host.
type Square struct{ Side float64 }

func (s Square) Area() float64 { return s.Side * s.Side }
func (s Square) Name() string  { return "square" }

// Circle is not.
type Circle struct{ R float64 }

func (c *Circle) Area() float64 { return 3 * c.R * c.R }
func (c *Circle) Name() string  { return "circle" }

// Sealed has an unexported method: only this package implements it.
type Sealed interface {
	Shape
	corners() int
}

func (s Square) corners() int  { return 4 }
func (c *Circle) corners() int { return 0 }

// Corners calls the unexported method.
func Corners(s Sealed) int { return s.corners() }

// Error is an error type of the host.
type Error struct {
	Code int
	Text string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Text) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is compares codes.
func (e *Error) Is(target error) bool {
	o, ok := target.(*Error)
	return ok && o.Code == e.Code
}

// Temporary is an error by value.
type Temporary struct{ After int }

func (t Temporary) Error() string { return "again after " + strconv.Itoa(t.After) }

// ErrGone is compared by identity.
var ErrGone = errors.New("gone")

// Find fails in several ways.
func Find(name string) (*Item, error) {
	switch name {
	case "gone":
		return nil, fmt.Errorf("find %q: %w", name, ErrGone)
	case "busy":
		return nil, fmt.Errorf("find %q: %w", name, Temporary{After: 3})
	case "":
		return nil, &Error{Code: 1, Text: "no name", Err: ErrGone}
	}
	return &Item{Name: name, Price: 100}, nil
}

// Registry is a variable with pointers that plugins write to.
var Registry = map[string]Shape{"square": Square{1}}

// Hook is a function variable that plugins replace.
var Hook = func(s string) string { return "host " + s }

// Table is initialised by code; no function of the host reads it.
var Table = func() [16]*Item {
	var t [16]*Item
	for i := range t {
		t[i] = &Item{Name: "row " + strconv.Itoa(i), Price: Money(i)}
	}
	return t
}()

// Call gives control back to a plugin.
func Call[T any](f func(T) error, v T) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	return f(v)
}

// secret is reached by go:linkname.
func secret(n int) string { return "secret " + strings.Repeat("*", n) }

// hidden is reached by go:linkname.
var hidden = []string{"a", "b"}

// KeepSecrets makes the compiler keep them.
func KeepSecrets() (string, int) { return secret(1), len(hidden) }
