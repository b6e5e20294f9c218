//go:build !linux

package reloader

// mappedFiles knows nothing here.
func mappedFiles(map[pluginGeneration]string) map[string]usage { return nil }

// mappedCode knows nothing here.
func mappedCode(map[pluginGeneration]string) map[string]usage { return nil }

// residentSet knows nothing here.
func residentSet() int64 { return 0 }
