package restore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// A record is a line: the CRC-32C of the rest in eight hex digits, a blank, and
// the whole state as JSON. The last line that is sound is the state, whatever
// stands before and after it. So a crash at any byte of a write leaves the state as
// it was or as it was to become, nothing has to be replayed, and one write that
// failed is made good by the next.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// encode gives a state's record.
func encode(s State) ([]byte, error) {
	s.V = Version
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	line := fmt.Appendf(nil, "%08x ", crc(b))
	return append(append(line, b...), '\n'), nil
}

// decode gives the state of a line without its end.
func decode(line []byte) (s State, ok bool) {
	sum, b, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc(b)) {
		return State{}, false
	}
	var is struct {
		V int `json:"v"`
	}
	if json.Unmarshal(b, &is) != nil {
		return State{}, false
	}
	if is.V != Version {
		return State{V: is.V}, true
	}
	if json.Unmarshal(b, &s) != nil || !s.sound() {
		return State{}, false
	}
	return s, true
}

// sound checks what becomes names of files.
func (s *State) sound() bool {
	for _, b := range s.Builds {
		for _, p := range b.Plugins {
			if artifact.ValidName(p.Name) != nil || len(p.Live) == 0 || len(p.Live) > 2 || len(p.Before) > 2 {
				return false
			}
			for _, e := range append(p.Live[:len(p.Live):len(p.Live)], p.Before...) {
				if artifact.ValidDigest(e.Digest) != nil {
					return false
				}
			}
		}
	}
	for _, q := range s.Quarantined {
		if artifact.ValidDigest(q.Digest) != nil {
			return false
		}
	}
	if s.Run == nil {
		return true
	}
	tried := s.Run.Left[:len(s.Run.Left):len(s.Run.Left)]
	if s.Run.Trying != nil {
		tried = append(tried, *s.Run.Trying)
	}
	return !slices.ContainsFunc(tried, func(t Trial) bool {
		return artifact.ValidName(t.Plugin) != nil || artifact.ValidDigest(t.Entry.Digest) != nil
	})
}

// newest gives the last sound record of a log. damaged counts the whole lines that
// are none. A crash in the middle of a write leaves a line without an end, which is
// not counted.
func newest(log []byte) (s State, found bool, damaged int) {
	for rest := log; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if !whole {
			break
		}
		if next, ok := decode(line); ok {
			s, found = next, true
		} else if len(line) > 0 {
			damaged++
		}
	}
	return s, found, damaged
}
