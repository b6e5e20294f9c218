package reloader

import (
	"runtime"
	"strconv"
	"strings"
)

// What the runtime says of a goroutine's state, how long it has been in it, and
// who started it is in one place only: the text of runtime.Stack. It has been of
// this form for years, and is meant for people (runtime/traceback.go, Go 1.26 and
// 1.27: goroutineheader, traceback2, printcreatedby1):
//
//	goroutine 18 [chan receive, 2 minutes]:
//	example.com/shop/pricing/rules.(*Watcher).loop(0xc0000b2000, {0x0, 0x0})
//		/home/you/shop/pricing/rules/rules.go:41 +0x2c
//	created by example.com/shop/pricing/rules.New in goroutine 1
//		/home/you/shop/pricing/rules/rules.go:30 +0x1b4
//
// Nothing is decided by it that would harm if it were read wrongly.

// stackText is one goroutine.
type stackText struct {
	state   string
	minutes int         // since it has been in that state; 0 is less than one, or not known
	frames  []textFrame // innermost first
	creator string      // function, "" for those of the runtime's own making
}

type textFrame struct {
	function, file string
	line           int
}

// parseStacks reads what runtime.Stack writes. Lines that are something else are
// passed over, so text of another form gives fewer goroutines or frames.
func parseStacks(text string) []stackText {
	var all []stackText
	var frame *textFrame // whose file comes next
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if state, ok := stackHeader(line); ok {
			all = append(all, state)
			frame = nil
			continue
		}
		if len(all) == 0 {
			continue
		}
		g := &all[len(all)-1]
		if position, ok := strings.CutPrefix(line, "\t"); ok {
			if frame != nil {
				frame.file, frame.line = filePosition(position)
			}
			frame = nil
			continue
		}
		frame = nil
		if creator, ok := strings.CutPrefix(line, "created by "); ok {
			g.creator, _, _ = strings.Cut(creator, " in goroutine ")
		} else if open := strings.LastIndexByte(line, '('); open > 0 && strings.HasSuffix(line, ")") {
			g.frames = append(g.frames, textFrame{function: line[:open]})
			frame = &g.frames[len(g.frames)-1]
		}
	}
	return all
}

// stackHeader reads a line "goroutine 18 [chan receive, 2 minutes, locked to thread]:".
func stackHeader(line string) (g stackText, ok bool) {
	rest, ok := strings.CutPrefix(line, "goroutine ")
	if !ok || rest == "" || rest[0] < '0' || rest[0] > '9' {
		return g, false
	}
	_, rest, ok = strings.Cut(rest, "[")
	if !ok {
		return g, false
	}
	inside, _, ok := strings.Cut(rest, "]")
	if !ok {
		return g, false
	}
	for i, part := range strings.Split(inside, ", ") {
		if i == 0 {
			g.state = part
		} else if n, ok := strings.CutSuffix(part, " minutes"); ok {
			if m, err := strconv.Atoi(n); err == nil && m > 0 {
				g.minutes = m
			}
		}
	}
	return g, true
}

// filePosition reads "/home/you/shop/rules.go:41 +0x2c".
func filePosition(s string) (file string, line int) {
	s, _, _ = strings.Cut(s, " +0x")
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return s, 0
	}
	n, err := strconv.Atoi(s[colon+1:])
	if err != nil || n < 0 {
		return s, 0
	}
	return s[:colon], n
}

const (
	// mostTexts is the number of goroutines up to which their text is read: it
	// stops the process, for some 20 microseconds each.
	mostTexts = 1000
	// mostText bounds the text itself, in bytes.
	mostText = 16 << 20
)

// stackTexts gives the text of all goroutines, "" where there are too many.
func stackTexts() string {
	n := runtime.NumGoroutine()
	if n > mostTexts {
		return ""
	}
	for size := 64<<10 + n<<10; ; size *= 4 {
		buf := make([]byte, min(size, mostText))
		if got := runtime.Stack(buf, true); got < len(buf) || len(buf) == mostText {
			return string(buf[:got])
		}
	}
}
