package goobj

import "fmt"

// A Definition is what an importer needs to know to refer by name to a symbol
// that it refers to by position.
type Definition struct {
	// Name is empty where the symbol has none: such a symbol belongs to another
	// one of the same object.
	Name string
	// ABI is the ABI of the definition itself.
	ABI uint16
	// Type is one of the Kind constants.
	Type uint8
}

// Definitions reads only Object.Defs, and of these only what others need, from
// the Go object data. The index is that of references. The result shares no
// memory with data, so it can be kept.
func Definitions(data []byte) ([]Definition, error) {
	head, binary, err := splitHead(data)
	if err != nil {
		return nil, fmt.Errorf("read definitions of Go object: %w", err)
	}
	l, err := readLayout(binary, headVersion(head))
	if err != nil {
		return nil, fmt.Errorf("read definitions of Go object: %w", err)
	}
	names, block := string(l.strings()), l.block(blockDefs)
	defs := make([]Definition, l.count(blockDefs))
	for i := range defs {
		record := block[i*symbolSize:]
		start, end, err := l.stringSpan(record)
		if err != nil {
			return nil, fmt.Errorf("read definitions of Go object: symbol %d: %w", i, err)
		}
		defs[i] = Definition{Name: names[start:end], ABI: le.Uint16(record[8:]), Type: record[10]}
	}
	return defs, nil
}

// Fingerprint reads only Object.Fingerprint from the Go object data.
func Fingerprint(data []byte) (fingerprint [8]byte, err error) {
	head, binary, err := splitHead(data)
	if err == nil {
		_, err = readLayout(binary, headVersion(head))
	}
	if err != nil {
		return fingerprint, fmt.Errorf("read fingerprint of Go object: %w", err)
	}
	copy(fingerprint[:], binary[len(magic):])
	return fingerprint, nil
}
