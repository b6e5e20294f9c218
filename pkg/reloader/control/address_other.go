//go:build !unix

package control

func ownedDir(string) bool { return false }
