package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxEvent bounds one line of the stream.
const maxEvent = 1 << 20

// Events calls fn for each event as the host produces it, until fn returns an
// error, ctx ends or the host goes away. after is the id of the last event the
// caller has seen, as fn got it, so that a new connection continues where the
// last one ended; "" begins with the next event. Connecting again is the
// caller's.
//
// The error is fn's own, ctx's, an *Error, or an *UnreachableError where the
// stream broke off; it is never nil.
func (c *Client) Events(ctx context.Context, after string, fn func(id string, ev Event) error) error {
	header := http.Header{"Accept": {TypeEvents}}
	if after != "" {
		header.Set("Last-Event-ID", after)
	}
	resp, err := c.send(ctx, http.MethodGet, "/v1/events", nil, "", 0, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var fnErr error
	err = readEvents(resp.Body, func(id string, ev Event) error {
		fnErr = fn(id, ev)
		return fnErr
	})
	switch {
	case fnErr != nil:
		return fnErr
	case err == nil:
		err = io.EOF
	}
	return c.unreachable(ctx, err)
}

// readEvents parses server-sent events: "id:" and "data:" lines, ended by an
// empty line; lines that begin with a colon keep the connection alive.
func readEvents(r io.Reader, fn func(id string, ev Event) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxEvent)
	var id, data string
	for sc.Scan() {
		field, value, _ := strings.Cut(sc.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "id":
			id = value
		case field == "data" && data == "":
			data = value
		case field == "data":
			data += "\n" + value
		case sc.Text() == "" && data != "":
			var ev Event
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				return fmt.Errorf("decode event: %w", err)
			}
			data = ""
			if err := fn(id, ev); err != nil {
				return err
			}
		}
		if len(data) > maxEvent {
			return errors.New("decode event: too long")
		}
	}
	return sc.Err()
}
