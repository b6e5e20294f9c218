//go:build !linux

package doctor

import "runtime"

const goos = runtime.GOOS

func fileSystem(string) (FileSystem, error) { return FileSystem{Unknown: true}, nil }

func watches() Watches { return Watches{} }
