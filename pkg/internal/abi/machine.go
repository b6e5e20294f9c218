package abi

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// CPULevel gives the highest GOAMD64 level ("v1" to "v4") whose instructions a
// processor has. cpuinfo is the content of /proc/cpuinfo; "" is given where it
// says nothing, as on other machines.
//
// The levels are those of the x86-64 psABI, under the names that Linux has for
// the features.
func CPULevel(cpuinfo string) string {
	has := map[string]bool{}
	for line := range strings.Lines(cpuinfo) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == "flags" {
			for _, flag := range strings.Fields(value) {
				has[flag] = true
			}
			break // the processors of a machine are alike
		}
	}
	if !has["lm"] {
		return ""
	}
	level := "v1"
	for _, step := range []struct{ level, features string }{
		{"v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"},
		{"v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"},
		{"v4", "avx512f avx512bw avx512cd avx512dq avx512vl"},
	} {
		for _, feature := range strings.Fields(step.features) {
			if !has[feature] {
				return level
			}
		}
		level = step.level
	}
	return level
}

// goarch names the machine as GOARCH does.
func (m *image) goarch() string {
	little := m.order == binary.ByteOrder(binary.LittleEndian)
	switch {
	case m.machine == 62 && m.is64:
		return "amd64"
	case m.machine == 183:
		return "arm64"
	case m.machine == 3:
		return "386"
	case m.machine == 40:
		return "arm"
	case m.machine == 243 && m.is64:
		return "riscv64"
	case m.machine == 258 && m.is64:
		return "loong64"
	case m.machine == 22 && m.is64:
		return "s390x"
	case m.machine == 21 && little:
		return "ppc64le"
	case m.machine == 21:
		return "ppc64"
	}
	return fmt.Sprintf("machine %d", m.machine)
}

// class gives word size and byte order.
func (m *image) class() string {
	s := "ELF32"
	if m.is64 {
		s = "ELF64"
	}
	if m.order == binary.ByteOrder(binary.BigEndian) {
		s += ", big endian"
	}
	return s
}
