package minisign

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Claims are what a signature says beside "these bytes". They are the trusted
// comment, in the form that minisign writes of itself: fields between tabs.
//
//	timestamp:1795888003	file:pricing-3fa91c2b4d5e.so	hashed	plugin:pricing	host:any	sequence:1795888003123456789	expires:2027-01-01T00:00:00Z
//
// minisign's own comment, the first three fields, has all that is needed: where
// there is no sequence, it is the timestamp in nanoseconds.
type Claims struct {
	Time     time.Time // of signing, in whole seconds; the zero value is none
	File     string    // base name; says nothing that has to hold
	Plugin   string    // "" for a file that is no artifact of hotgo's
	Host     string    // build ID of the only host that it fits, "any", or "" as for Plugin
	Sequence uint64    // what is newer has a higher one
	Expires  time.Time // in whole seconds; the zero value is never
}

// AnyHost as [Claims.Host] is every build of the host.
const AnyHost = "any"

// Comment gives the claims as a trusted comment.
func (c Claims) Comment() string {
	var fields []string
	if !c.Time.IsZero() {
		fields = append(fields, "timestamp:"+strconv.FormatInt(c.Time.Unix(), 10))
	}
	if printable(c.File) == nil && c.File != "" && !strings.Contains(c.File, "\t") {
		fields = append(fields, "file:"+filepath.Base(c.File))
	}
	fields = append(fields, "hashed")
	if c.Plugin != "" {
		fields = append(fields, "plugin:"+c.Plugin)
	}
	if c.Host != "" {
		fields = append(fields, "host:"+c.Host)
	}
	fields = append(fields, "sequence:"+strconv.FormatUint(c.Sequence, 10))
	if !c.Expires.IsZero() {
		fields = append(fields, "expires:"+c.Expires.UTC().Format(time.RFC3339))
	}
	return strings.Join(fields, "\t")
}

// ParseClaims reads a trusted comment. Fields that it does not know are left
// alone, those that it knows have to be right.
//
// Errors: a field that is there twice or malformed, neither a sequence nor a
// timestamp.
func ParseClaims(comment string) (Claims, error) {
	var c Claims
	var sequenced bool
	seen := map[string]bool{}
	for field := range strings.SplitSeq(comment, "\t") {
		name, value, _ := strings.Cut(field, ":")
		if seen[name] {
			return Claims{}, fmt.Errorf("read trusted comment: %.20q is there twice", name)
		}
		seen[name] = true
		var err error
		switch name {
		case "timestamp":
			var s int64
			s, err = strconv.ParseInt(value, 10, 64)
			// The year 2200 fits nanoseconds; what is beyond is no clock's.
			if err == nil && (s < 0 || s > math.MaxInt64/int64(time.Second)) {
				err = strconv.ErrRange
			}
			c.Time = time.Unix(s, 0).UTC()
		case "file":
			c.File = value
		case "plugin":
			c.Plugin = value
		case "host":
			c.Host = value
		case "sequence":
			sequenced = true
			c.Sequence, err = strconv.ParseUint(value, 10, 64)
		case "expires":
			c.Expires, err = time.Parse(time.RFC3339, value)
			c.Expires = c.Expires.UTC()
			if err == nil && c.Expires.IsZero() {
				err = strconv.ErrRange // year 1 is no way to say never
			}
		}
		if err != nil {
			return Claims{}, fmt.Errorf("read trusted comment: %s: %w", name, err)
		}
	}
	switch {
	case sequenced:
	case c.Time.IsZero():
		return Claims{}, fmt.Errorf("read trusted comment: neither a sequence nor a timestamp in %.80q", comment)
	default:
		c.Sequence = uint64(c.Time.UnixNano())
	}
	return c, nil
}
