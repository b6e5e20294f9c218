package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"example.com/conformance/api"
)

// memory is a database driver that keeps tables in maps. It knows
// "insert TABLE ? ?", "select TABLE" and "fail".
type memory struct {
	mu     sync.Mutex
	tables map[string][][]driver.Value
}

var driverName = fmt.Sprint("memory", generation)

func init() { sql.Register(driverName, &memory{tables: map[string][][]driver.Value{}}) }

func (m *memory) Open(name string) (driver.Conn, error) {
	if name == "" {
		return nil, &api.Error{Code: 8, Text: "no name"}
	}
	return &conn{m: m}, nil
}

type conn struct {
	m    *memory
	undo []func()
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return &stmt{c, strings.Fields(query)}, nil
}
func (c *conn) Close() error               { return nil }
func (c *conn) Begin() (driver.Tx, error)  { c.undo = nil; return c, nil }
func (c *conn) Commit() error              { c.undo = nil; return nil }
func (c *conn) Ping(context.Context) error { return nil }

func (c *conn) Rollback() error {
	for _, f := range slices.Backward(c.undo) {
		f()
	}
	return nil
}

type stmt struct {
	c     *conn
	words []string
}

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return strings.Count(strings.Join(s.words, " "), "?") }

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	m := s.c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.words[0] != "insert" {
		return nil, fmt.Errorf("cannot %s: %w", s.words[0], errUnknown)
	}
	table := s.words[1]
	m.tables[table] = append(m.tables[table], slices.Clone(args))
	s.c.undo = append(s.c.undo, func() { m.tables[table] = m.tables[table][:len(m.tables[table])-1] })
	return driver.RowsAffected(1), nil
}

var errUnknown = errors.New("unknown statement")

func (s *stmt) Query([]driver.Value) (driver.Rows, error) {
	s.c.m.mu.Lock()
	defer s.c.m.mu.Unlock()
	return &cursor{list: slices.Clone(s.c.m.tables[s.words[1]])}, nil
}

type cursor struct{ list [][]driver.Value }

func (c *cursor) Columns() []string { return []string{"name", "price"} }
func (c *cursor) Close() error      { return nil }

func (c *cursor) Next(dest []driver.Value) error {
	if len(c.list) == 0 {
		return io.EOF
	}
	copy(dest, c.list[0])
	c.list = c.list[1:]
	return nil
}
