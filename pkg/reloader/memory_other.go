//go:build !linux

package reloader

// mappedFiles knows nothing here.
func mappedFiles(map[pluginGeneration]string) map[string]usage { return nil }

// mappedBytes knows nothing here.
func mappedBytes(map[pluginGeneration]string) map[string]usage { return nil }

// residentSet knows nothing here.
func residentSet() int64 { return 0 }
